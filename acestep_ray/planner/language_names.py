"""Languages by their names: those that people choose ("French"), and those that a description of a
song asks for ("a sad song in French")."""

import re

# fmt: off
_ENGLISH = {
    "arabic": "ar", "azerbaijani": "az", "bulgarian": "bg", "bengali": "bn", "catalan": "ca",
    "czech": "cs", "danish": "da", "german": "de", "greek": "el", "english": "en", "spanish": "es",
    "persian": "fa", "farsi": "fa", "finnish": "fi", "french": "fr", "hebrew": "he", "hindi": "hi",
    "croatian": "hr", "haitian creole": "ht", "hungarian": "hu", "indonesian": "id",
    "icelandic": "is", "italian": "it", "japanese": "ja", "korean": "ko", "latin": "la",
    "lithuanian": "lt", "malay": "ms", "nepali": "ne", "dutch": "nl", "norwegian": "no",
    "punjabi": "pa", "polish": "pl", "portuguese": "pt", "romanian": "ro", "russian": "ru",
    "sanskrit": "sa", "slovak": "sk", "serbian": "sr", "swedish": "sv", "swahili": "sw",
    "tamil": "ta", "telugu": "te", "thai": "th", "tagalog": "tl", "turkish": "tr",
    "ukrainian": "uk", "urdu": "ur", "vietnamese": "vi", "cantonese": "yue", "chinese": "zh",
    "mandarin": "zh",
}
# Names in the languages themselves, with the word before them that makes them a request.
_OWN = {
    "auf deutsch": "de", "en español": "es", "en français": "fr", "in italiano": "it",
    "em português": "pt", "in het nederlands": "nl", "på svenska": "sv", "på norsk": "no",
    "på dansk": "da", "po polsku": "pl", "на русском": "ru", "українською": "uk", "türkçe": "tr",
    "bahasa indonesia": "id", "tiếng việt": "vi", "日本語": "ja", "한국어": "ko", "粤语": "yue",
    "粵語": "yue", "广东话": "yue", "廣東話": "yue", "中文": "zh", "国语": "zh", "國語": "zh",
    "普通话": "zh",
}
# Names in the languages themselves, alone.
_ALONE = {
    "deutsch": "de", "español": "es", "castellano": "es", "français": "fr", "italiano": "it",
    "português": "pt", "nederlands": "nl", "svenska": "sv", "norsk": "no", "dansk": "da",
    "suomi": "fi", "polski": "pl", "čeština": "cs", "русский": "ru", "українська": "uk",
    "العربية": "ar", "हिन्दी": "hi", "ไทย": "th",
}
# fmt: on
_BY_NAME = _ENGLISH | _OWN | _ALONE
_NAMES = "|".join(_ENGLISH)
# A name alone is not enough: a French horn, a Spanish guitar and Latin jazz have no language.
_SUNG = (
    "song|lyrics?|vocals?|vocalist|voices?|words|text|singer|singing|rap|rapper|rapping|verses?|"
    "chorus|language|ballad|chanson|male|female|man|woman|girl|boy|pop|love song|anthem|lullaby"
)
_ASKED = re.compile(
    rf"\bin (?P<after>{_NAMES})\b(?! (?:style|tradition|mode|tuning))"
    rf"|\b(?P<before>{_NAMES})[- ](?:{_SUNG})\b",
    re.IGNORECASE,
)
_NO_LANGUAGE = frozenset({"latin"})  # "Latin pop" is a style


def language_of_name(name: str) -> str:
    """The code of a language's name ("English", "Deutsch", "Portuguese (Brazil)"); empty if it is
    not known."""
    return _BY_NAME.get(name.partition("(")[0].strip().lower(), "")


def named_language(description: str) -> str:
    """The code of the first language that the description asks for; empty if it names none."""
    lowered = description.lower()
    own = [(lowered.find(name), code) for name, code in _OWN.items() if name in lowered]
    if own:
        return min(own)[1]
    for match in _ASKED.finditer(lowered):
        if match["after"]:
            return _ENGLISH[match["after"]]
        if match["before"] not in _NO_LANGUAGE:
            return _ENGLISH[match["before"]]
    return ""
