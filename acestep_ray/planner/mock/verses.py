"""Lines for songs in a few languages: the mock's lyrics."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Lines:
    """Lines of one language, from which verses and choruses are made."""

    verse: tuple[str, ...]
    chorus: tuple[str, ...]


LINES = {
    "en": Lines(
        (
            "The street is quiet and the lamps are low",
            "I count the windows on the long way home",
            "A train goes by and takes the afternoon",
            "You left your coat, the rain has just begun",
            "We painted all the walls in morning blue",
            "The radio is playing something new",
            "I keep the letter that you never sent",
            "There is a river underneath this town",
        ),
        (
            "Hold on to the light a little longer",
            "Every step we take will make us stronger",
            "Sing it to the sky and let it carry",
            "We are wide awake and we are ready",
            "Nothing that we lose is gone for ever",
        ),
    ),
    "de": Lines(
        (
            "Die Straße schläft, die Lampen brennen leise",
            "Ich zähl die Fenster auf der langen Reise",
            "Ein Zug fährt ab und nimmt den Nachmittag",
            "Der Regen schreibt, was ich nicht sagen mag",
            "Wir malten alle Wände morgenblau",
            "Im Radio singt leise eine Frau",
        ),
        (
            "Halt das Licht noch eine Weile fest",
            "Sing mit mir, solang der Wind uns lässt",
            "Nichts, was wir verlieren, geht verloren",
            "Heute Nacht sind wir wie neu geboren",
        ),
    ),
    "fr": Lines(
        (
            "La rue s'endort, les lampes brûlent bas",
            "Je compte les fenêtres et mes pas",
            "Un train s'en va, il emporte la journée",
            "La pluie écrit ce que je n'ai pas chanté",
            "Nous avons peint les murs en bleu matin",
            "La radio nous joue un air lointain",
        ),
        (
            "Garde la lumière encore un instant",
            "Chante avec moi plus fort que le vent",
            "Rien de ce qu'on perd n'est perdu pour toujours",
            "Nous serons debout au lever du jour",
        ),
    ),
    "es": Lines(
        (
            "La calle duerme, las luces van bajando",
            "Cuento ventanas, despacio voy andando",
            "Un tren se va y se lleva la tarde",
            "La lluvia dice lo que nadie sabe",
            "Pintamos las paredes de azul mañana",
            "La radio canta cerca de la ventana",
        ),
        (
            "Guarda la luz un poco más conmigo",
            "Canta bien alto, yo canto contigo",
            "Nada de lo que se pierde se olvida",
            "Esta noche empieza toda la vida",
        ),
    ),
    "it": Lines(
        (
            "La strada dorme, le luci sono basse",
            "Conto le finestre e i passi sulle tracce",
            "Un treno parte e porta via la sera",
            "La pioggia scrive una lettera sincera",
            "Abbiamo dipinto i muri di mattino",
            "La radio suona piano, qui vicino",
        ),
        (
            "Tieni la luce ancora per un poco",
            "Canta con me, la voce è come un fuoco",
            "Niente di quel che perdi va perduto",
            "Questa notte ogni cuore è il benvenuto",
        ),
    ),
    "pt": Lines(
        (
            "A rua dorme, as luzes vão baixando",
            "Conto janelas, sigo caminhando",
            "Um trem que parte leva a tarde embora",
            "A chuva escreve o que ninguém diz agora",
            "Pintamos as paredes de azul claro",
            "O rádio toca um som que é tão raro",
        ),
        (
            "Guarda essa luz mais um pouco comigo",
            "Canta bem alto, eu canto contigo",
            "Nada do que se perde é esquecido",
            "Hoje o caminho é nosso e está florido",
        ),
    ),
    "ru": Lines(
        (
            "Улица спит, и гаснут фонари",
            "Считаю окна до самой зари",
            "Уходит поезд и уносит день",
            "И дождь рисует на асфальте тень",
            "Мы красили стены в утренний цвет",
            "И радио пело, что осени нет",
        ),
        (
            "Держи этот свет ещё чуть-чуть со мной",
            "Пой в полный голос над тихой рекой",
            "Что потеряли, то вернётся вновь",
            "Нас этой ночью ведёт любовь",
        ),
    ),
    "zh": Lines(
        (
            "长街睡去 灯光渐渐低",
            "数着窗口 走在回家路里",
            "一列火车 带走了下午",
            "细雨写下 我没说的祝福",
            "我们把墙 刷成清晨的蓝",
            "收音机里 有人轻轻地唱",
        ),
        (
            "请把这束光 再多留一会",
            "迎着风歌唱 不要说后悔",
            "失去的一切 都不会走远",
            "今夜的我们 站在春天前",
        ),
    ),
    "ja": Lines(
        (
            "眠る街に 灯りがともる",
            "窓を数えて 帰る道のり",
            "電車がひとつ 午後を連れてく",
            "雨が書くのは 言えない言葉",
            "壁を朝の 青に染めて",
            "ラジオの歌が 風にまじる",
        ),
        (
            "この光を もう少しだけ",
            "空へ歌おう 声のかぎり",
            "なくしたものは きっと帰る",
            "今夜ぼくらは 目を覚ます",
        ),
    ),
    "ko": Lines(
        (
            "잠든 거리 낮아진 불빛",
            "창문을 세며 걷는 집으로 가는 길",
            "기차 하나 오후를 데려가고",
            "비는 내가 못 한 말을 적어요",
            "벽을 아침의 파란색으로 칠하고",
            "라디오에서 노래가 흘러와요",
        ),
        (
            "이 빛을 조금만 더 잡아 줘요",
            "하늘을 향해 함께 노래해요",
            "잃어버린 것도 다시 돌아와요",
            "오늘 밤 우리는 깨어 있어요",
        ),
    ),
}
"""By language code. For other languages the English lines are used."""
