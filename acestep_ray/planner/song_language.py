"""Which language a song is in. The language model (LM) and the decoder get the same one."""

NOT_CHOSEN = ("en", "unknown")
"""Values of ``vocal_language`` that do not count as a choice: ``unknown`` means that the language
is to be found, and ``en`` is the default of clients."""


def lm_chooses_language(use_cot_language: bool | None, vocal_language: str) -> bool:
    """Whether the LM chooses the language, by the lyrics, in the metadata that its codes follow.

    If ``use_cot_language`` is None, it does so unless the request names a language.
    """
    if use_cot_language is None:
        return vocal_language in NOT_CHOSEN
    return use_cot_language


def language_of_song(use_cot_language: bool | None, vocal_language: str, written: str) -> str:
    """The language that the decoder gets: that of the LM's metadata (``written``) if the LM
    chose it, and knew it; otherwise the request's."""
    if written not in ("", "unknown") and lm_chooses_language(use_cot_language, vocal_language):
        return written
    return vocal_language
