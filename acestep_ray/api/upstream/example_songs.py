"""Songs that POST /create_random_sample returns: each in one sentence, and with its whole text."""

from dataclasses import dataclass

INSTRUMENTAL = "[Instrumental]"


@dataclass(frozen=True)
class ExampleSong:
    """``description``: the song in one sentence. ``duration``: seconds."""

    description: str
    caption: str
    lyrics: str
    bpm: int
    key_scale: str
    time_signature: str
    duration: int
    language: str

    @property
    def instrumental(self) -> bool:
        """Whether nothing is sung."""
        return self.lyrics == INSTRUMENTAL


EXAMPLE_SONGS = (
    ExampleSong(
        description="a cheerful indie pop song about the last tram home",
        caption="Bright indie pop with jangling electric guitars, a bouncing bass line, dry drums "
        "and hand claps. A young male voice sings close to the microphone, with a second voice "
        "above it in the chorus.",
        lyrics="""[Verse 1]
The kiosk man is counting up his change
The street lamps make the puddles look like gold
You hold my sleeve, the timetable is strange
And neither of us minds about the cold

[Chorus]
Last tram, don't you hurry, we have nowhere else to be
Every stop is like a window that you open up for me
Last tram, take the long way, go around the river bend
I would ride a hundred evenings just to never reach the end

[Verse 2]
A sleeping boy, a woman with a cake
The driver hums a tune I used to know
You ask me how much time we have to take
I say as much as this old line can go

[Chorus]
Last tram, don't you hurry, we have nowhere else to be
Every stop is like a window that you open up for me""",
        bpm=118,
        key_scale="G major",
        time_signature="4",
        duration=110,
        language="en",
    ),
    ExampleSong(
        description="slow soul about a letter that was never sent",
        caption="Slow soul ballad with a warm electric organ, brushed drums, a round bass and soft "
        "brass answers. A deep female voice begins quietly and grows towards the end.",
        lyrics="""[Verse]
I wrote your name and put the pencil down
The kitchen clock was louder than the rain
I had a hundred words to turn around
And folded every one of them again

[Chorus]
Oh, the letter in the drawer still knows
What my mouth was much too proud to say
Paper keeps the warmth a long time, so
Come and read it any given day

[Bridge]
Stamp and street and city
All of it was there
All it ever needed
Was a little more to dare

[Outro]
Paper keeps the warmth a long time""",
        bpm=66,
        key_scale="Eb major",
        time_signature="6",
        duration=120,
        language="en",
    ),
    ExampleSong(
        description="ein ruhiges Lied über den ersten Schnee in einer kleinen Stadt",
        caption="Quiet German folk pop with a fingerpicked acoustic guitar, an upright piano and "
        "a low cello. A calm female voice, hardly any reverb, no drums until the last chorus.",
        lyrics="""[Strophe 1]
Der Bäcker fegt den Weg vor seinem Laden
Die Kinder ziehen Spuren bis zum Tor
Auf allen Dächern liegt ein weißer Faden
Und keiner hört mehr, was er hörte zuvor

[Refrain]
Erster Schnee, du machst die Straßen leise
Jeder Schritt ist neu und jeder klingt
Erster Schnee, auf deine stille Weise
Weiß ich wieder, was der Winter bringt

[Strophe 2]
Die alte Frau am Fenster winkt herüber
Ihr Atem malt ein Herz auf kaltes Glas
Die Brücke trägt den hellen Morgen drüber
Und unter ihr vergisst der Fluss das Gras

[Refrain]
Erster Schnee, du machst die Straßen leise
Jeder Schritt ist neu und jeder klingt""",
        bpm=84,
        key_scale="D major",
        time_signature="3",
        duration=115,
        language="de",
    ),
    ExampleSong(
        description="chanson légère sur un marché du dimanche",
        caption="Light French chanson with accordion, double bass, brushed snare and nylon guitar. "
        "A smiling male voice that almost speaks, and a whistled melody between the verses.",
        lyrics="""[Couplet 1]
Dimanche matin, la place se réveille
Trois sous de menthe et un melon trop mûr
La marchande chante à l'ombre de la treille
Un chat choisit sa place sur le mur

[Refrain]
Au marché du dimanche
On n'achète que le temps
Une chemise blanche
Un sourire en passant
Au marché du dimanche
Tout le monde a vingt ans

[Couplet 2]
Un vieux monsieur compare deux pivoines
Il prend la rouge et rit de son émoi
Les cloches font danser les aubergines
Et je reviens les bras chargés de toi

[Refrain]
Au marché du dimanche
On n'achète que le temps""",
        bpm=132,
        key_scale="A minor",
        time_signature="3",
        duration=95,
        language="fr",
    ),
    ExampleSong(
        description="cumbia alegre para bailar en el patio de la abuela",
        caption="Happy cumbia with accordion, guacharaca, congas, a walking electric bass and "
        "short brass lines. A lively female voice, and a small choir that answers her.",
        lyrics="""[Verso 1]
La abuela barre el patio con el sol de la mañana
Mi tío trae la mesa y el vecino la campana
Se huele la canela, ya se escucha el acordeón
Y hasta el perro de la esquina se menea con el son

[Coro]
Baila, baila en el patio
que la noche no se va
Baila, baila en el patio
y la luna bailará

[Verso 2]
Los niños con los globos, los zapatos en la arena
La prima canta fuerte, se le olvida toda pena
Si falta alguna silla, nadie quiere descansar
Que en la casa de mi abuela se ha venido a celebrar

[Coro]
Baila, baila en el patio
que la noche no se va""",
        bpm=98,
        key_scale="E minor",
        time_signature="4",
        duration=125,
        language="es",
    ),
    ExampleSong(
        description="bossa nova sobre uma janela aberta para o mar",
        caption="Soft bossa nova with nylon guitar, light shaker, double bass and a muted trumpet. "
        "An intimate female voice without vibrato, late in the evening.",
        lyrics="""[Verso]
Deixa a janela aberta
que o vento sabe entrar
Traz na mão uma conversa
e um pedaço do mar

[Refrão]
Fica mais um pouco
a maré não tem pressa
Fica mais um pouco
que a noite só começa

[Verso]
O café já vai sozinho
e o violão também
Quem caminha de mansinho
chega sempre bem

[Refrão]
Fica mais um pouco
a maré não tem pressa""",
        bpm=124,
        key_scale="F major",
        time_signature="4",
        duration=90,
        language="pt",
    ),
    ExampleSong(
        description="夏の終わりの花火を歌う、切ないシティポップ",
        caption="Japanese city pop with electric piano, slap bass, tight drums, clean chorus "
        "guitar and bright synthesiser brass. A clear female voice, nostalgic but danceable.",
        lyrics="""[Verse]
駅前の時計が八時を過ぎて
浴衣の袖が風に揺れる
言えないままの小さな約束
改札の音に消えていく

[Chorus]
最後の花火が空に咲いたら
手を離すのはどちらから
夏は短い映画のように
灯りがついても座っていた

[Verse]
ラムネの瓶に残った光
君の横顔を映してる
遠くの海が静かに笑う
帰り道だけ長くなれ

[Chorus]
最後の花火が空に咲いたら
手を離すのはどちらから""",
        bpm=112,
        key_scale="F# minor",
        time_signature="4",
        duration=120,
        language="ja",
    ),
    ExampleSong(
        description="一首关于老城雨巷的抒情流行歌",
        caption="Mandarin pop ballad with piano, strings, a bamboo flute and soft electronic "
        "drums. A gentle male voice; the second chorus opens wide.",
        lyrics="""[Verse]
雨落在青石板的旧路上
你撑着伞走过矮矮的墙
茶馆的灯还亮着半扇窗
谁把从前唱得那么长

[Chorus]
慢一点 再慢一点
让这场雨下到明天
我数着屋檐 你数着时间
两个人的影子连成一片

[Verse]
巷口的猫认得你的脚步
卖花的人收起最后一束
有些话放在心里不必说出
雨停以后就变成路

[Chorus]
慢一点 再慢一点
让这场雨下到明天""",
        bpm=72,
        key_scale="C major",
        time_signature="4",
        duration=130,
        language="zh",
    ),
    ExampleSong(
        description="una canzone rock italiana su un viaggio in treno verso sud",
        caption="Italian rock with driving drums, two overdriven guitars, organ and a rough male "
        "voice. Wide open choruses, a short guitar solo, the feeling of a hot afternoon.",
        lyrics="""[Strofa 1]
Il finestrino è aperto e il vento mi racconta
di un mare che non vedo ma che sento da qui
Ho due biglietti in tasca, la tasca non si conta
e un libro che ho lasciato alla pagina di lunedì

[Ritornello]
Verso sud, verso sud
dove il sole non domanda chi sei
Verso sud, verso sud
porto solo le scarpe che ho ai piedi miei

[Strofa 2]
Una signora offre a tutti un po' di pane
un ragazzo suona piano e non sa che c'è chi sta ascoltando
Le stazioni sono file di parole strane
e noi ridiamo forte, non sappiamo fino a quando

[Ritornello]
Verso sud, verso sud
dove il sole non domanda chi sei""",
        bpm=144,
        key_scale="A major",
        time_signature="4",
        duration=115,
        language="it",
    ),
    ExampleSong(
        description="spare hip hop about repairing an old bicycle, half spoken",
        caption="Spare hip hop beat with dusty drums, an upright bass loop, vinyl noise and a "
        "few piano chords. A relaxed male rapper, a sung hook with two voices.",
        lyrics="""[Verse 1]
Chain on the table and the tools in a row
Bought it for a tenner from a man I know
Rust on the pedals but the frame stays true
Give it one evening and it rides like new
Spin that wheel till the wobble goes straight
Patience is a spanner and it's never too late

[Hook]
Turn it around, turn it around
Everything broken is waiting to be found
Turn it around, turn it around
Oil on my fingers and a ticking sound

[Verse 2]
Bell still ringing with a dent in the side
Front light blinking like it's learning to guide
Down past the bakery, over the bridge
Coat hanging open at the top of the ridge
Nobody racing and nobody late
Tyres on the tarmac and the air tastes great

[Hook]
Turn it around, turn it around
Everything broken is waiting to be found""",
        bpm=88,
        key_scale="D minor",
        time_signature="4",
        duration=105,
        language="en",
    ),
    ExampleSong(
        description="instrumental ambient music for a night train through mountains",
        caption="Instrumental ambient piece with slow analogue pads, a soft pulse like wheels on "
        "rails, distant piano notes and a bowed double bass. Wide, dark and calm, without drums.",
        lyrics=INSTRUMENTAL,
        bpm=70,
        key_scale="B minor",
        time_signature="4",
        duration=150,
        language="unknown",
    ),
    ExampleSong(
        description="a fast instrumental swing with two acoustic guitars and a violin",
        caption="Instrumental swing in the manner of the Paris of the thirties: two acoustic "
        "guitars, one chopping the chords and one playing fast lines, a singing violin and a "
        "double bass. Live in a small room, joyful.",
        lyrics=INSTRUMENTAL,
        bpm=208,
        key_scale="G minor",
        time_signature="4",
        duration=100,
        language="unknown",
    ),
)
