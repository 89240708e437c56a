"""Small talk: what is said for politeness, and asks for nothing."""

import re

_WORDS = {
    "Hello! What would you like to know?": r"hi|hello|hey|hiya|good (?:morning|afternoon|evening|day)|greetings",
    "You're welcome. Is there anything else that you would like to know?": (
        r"thanks?(?: you)?(?: (?:very|so) much| a lot)?|many thanks|thx|cheers|great|perfect|awesome|cool|nice|got it"
        r"|ok(?:ay)?|that(?:['’]s| is) (?:great|helpful|all|perfect)"
    ),
    "Goodbye!": r"bye(?: bye)?|goodbye|see you(?: later)?|good ?night",
}
_BETWEEN = r"\b(?: there| everyone| again)?[\s,.!)🙂👍🙏]*"
_SAID = {
    text: re.compile(rf"(?:(?:{'|'.join(_WORDS.values())}){_BETWEEN})*(?:{words}){_BETWEEN}", re.IGNORECASE)
    for text, words in _WORDS.items()
}


def reply(text: str) -> str | None:
    """What to say to a text that is small talk and nothing else; None when it asks for something."""
    return next((answer for answer, said in _SAID.items() if len(text) < 80 and said.fullmatch(text.strip())), None)


def small_talk(text: str) -> bool:
    return reply(text) is not None
