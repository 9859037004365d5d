"""Which language lyrics are in: by their script, then by short words. Good enough for a mock."""

import re
import unicodedata
from collections import Counter

_TAG = re.compile(r"\[[^\]]*\]")  # [Verse 1]
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")

# Unicode names begin with the script: "HIRAGANA LETTER A".
_SCRIPTS = {
    "HIRAGANA": "ja",
    "KATAKANA": "ja",
    "HANGUL": "ko",
    "CJK": "zh",
    "CYRILLIC": "ru",
    "ARABIC": "ar",
    "HEBREW": "he",
    "GREEK": "el",
    "THAI": "th",
    "DEVANAGARI": "hi",
    "BENGALI": "bn",
    "TAMIL": "ta",
    "TELUGU": "te",
    "GURMUKHI": "pa",
}
# Letters that only one language of a script has, in the order in which they are checked.
_LETTERS: dict[str, tuple[tuple[str, str], ...]] = {
    "zh": (("yue", "唔嘅喺佢咁啲咗冇嚟哋嘢"),),
    "ru": (("uk", "іїєґ"), ("sr", "ђјљњћџ")),
    "ar": (("ur", "ٹڈڑںے"), ("fa", "پچژگ")),
}
# Words that are common in one language and rare or unknown in the others.
_WORDS = {
    "en": "the and you i my me we is of it your in to that all for with this love when oh",
    "es": "el los las y que en mi tu yo es por con una amor corazón cuando no te si pero",
    "fr": "le les des et je tu est une dans mon ton ma pour que qui avec pas nous amour c'est",
    "de": "der die das und ich du ist nicht mein dein wir ein eine mit auf zu wenn mich dich",
    "it": "il gli che di e mi ti sono non per una con come io amore cuore della nel più sei",
    "pt": "o os as que eu você não meu minha em um uma com por do da coração amor só mais",
    "nl": "de het een en ik jij je is niet mijn van met voor dat wij naar maar ook",
    "sv": "och jag du är inte min det som en ett på med för vi har när dig mig",
    "no": "og jeg du er ikke min det som en et på med for vi har når deg meg",
    "da": "og jeg du er ikke min det som en et på med for vi har når dig mig af",
    "fi": "ja minä sinä on ei se kun olen sinun minun mutta niin kuin mä sä",
    "pl": "i w na się nie to ja ty jest mój moja że jak co dla tylko kiedy",
    "cs": "a v na se je já ty můj moje že jak když jen pro jsem není",
    "hu": "a az és én te nem van hogy csak mint szív nekem egy vagy",
    "ro": "și în nu eu tu este mea meu cu pe să când pentru inima",
    "tr": "ve bir ben sen bu için ne gibi aşk kalbim değil çok var seni beni",
    "id": "dan aku kamu yang di ini itu tak cinta hati dengan untuk ku mu",
    "vi": "và em anh là không tình yêu trong một những của cho với người",
}
_VOCABULARY = {code: frozenset(words.split()) for code, words in _WORDS.items()}


def detect_language(lyrics: str) -> str | None:
    """The language code of the lyrics, or None if it cannot be recognised."""
    text = unicodedata.normalize("NFC", _TAG.sub(" ", lyrics)).lower()
    letters = Counter(char for char in text if char.isalpha())
    found = Counter[str]()
    for letter, count in letters.items():
        script = re.split(r"[ -]", unicodedata.name(letter, ""))[0]
        if script in _SCRIPTS:
            found[_SCRIPTS[script]] += count
    if found["ja"] * 5 > found["zh"]:  # Japanese is written with Chinese characters too
        found["ja"] += found.pop("zh", 0)
    if found.total() * 3 <= letters.total():
        return _by_words(text)
    code = found.most_common(1)[0][0]
    return next((one for one, own in _LETTERS.get(code, ()) if letters.keys() & set(own)), code)


def _by_words(text: str) -> str | None:
    words = Counter(_WORD.findall(text))
    scores = {
        code: sum(words[word] for word in vocabulary) for code, vocabulary in _VOCABULARY.items()
    }
    best = max(scores, key=lambda code: scores[code])
    return best if scores[best] >= 2 else None
