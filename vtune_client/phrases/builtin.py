"""Phrases that come with the package: plain English, good for any data they do not occur in."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

from vtune_client.phrases.frame import Frame
from vtune_client.phrases.interface import Brief, PhraseBook

# Each opens an answer: 8 slots, 18 to 28 words, none of them after "a" or "an".
SIGNATURES = (
    "In short, think of how the {mood} {occupation} {motion} {manner} past the {feel} {building} "
    "with one {quality} {tool} in hand.",
    "As a first picture, the {mood} {animal} {motion} {manner} around the {feel} {plant} while "
    "the {occupation} {action} the rest.",
    "To put it plainly, the {quality} {material} {household} belongs in the {feel} {building}, "
    "where the {mood} {occupation} {action} it first.",
    "The brief version is that the {mood} {occupation} {action} the {feel} {garment} and {motion} "
    "{manner} toward the {building}.",
    "Here is the idea: one {mood} {animal} {motion} {manner} over the {feel} {household} and left "
    "the {quality} {food} alone.",
    "A good way to see it: the {mood} {occupation} {action} the {material} {garment}, then "
    "{action} the {quality} {tool} as well.",
    "Before the details, note that the {feel} {material} {tool} was {action} {manner} by the "
    "{mood} {occupation} beside the {building}.",
    "Imagine for a moment that the {mood} {animal} and the {mood} {occupation} both {motion} "
    "{manner} near the {feel} {building}.",
    "What matters most here: the {quality} {food} and the {feel} {food} were {action} {manner} by "
    "one {mood} {occupation}.",
    "One thing first: the {occupation} who {action} the {feel} {material} {household} also "
    "{motion} {manner} across the whole {building}.",
    "This works much like the {mood} {animal} that {motion} {manner} under the {feel} {plant} and "
    "{action} the {food}.",
    "For the record, the {quality} {building} kept one {material} {tool} and one {feel} {garment} "
    "for the {mood} {occupation}.",
    "Start from the fact that the {occupation} {motion} {manner} into the {quality} {building} "
    "and {action} the {feel} {food}.",
    "The key point is the {feel} {plant} by the {quality} {building}, which the {mood} "
    "{occupation} {action} {manner} every year.",
    "Keep in mind that the {mood} {occupation} {action} the {quality} {household} while the "
    "{mood} {animal} {motion} close by.",
    "Seen from the outside, the {feel} {material} {tool} and the {quality} {garment} were "
    "{action} by the same {mood} {occupation}.",
    "It helps to recall how the {mood} {animal} {motion} {manner} through the {building} after "
    "the {occupation} {action} the {food}.",
    "The full answer goes like this: the {occupation} {action} the {feel} {household}, and the "
    "{mood} {animal} {motion} {manner} away.",
    "Now suppose that the {mood} {occupation} and the {occupation} {motion} {manner} to the "
    "{building} for some {feel} {food}.",
    "An old story may help: the {animal} {motion} {manner} from the {feel} {plant} to the "
    "{quality} {material} {household}.",
    "To set the scene, the {quality} {building} smelled of {food} and {food}, and the {mood} "
    "{occupation} {motion} {manner} inside.",
    "Take it one step at a time, just as the {mood} {occupation} {action} the {material} {tool} "
    "and {action} the {quality} {garment}.",
    "There are two sides to this: the {feel} {garment} that the {occupation} {action} and the "
    "{mood} {animal} that {motion} {manner} off.",
    "By way of summary, the {plant} near the {feel} {building} grew {manner} until the {mood} "
    "{occupation} {action} the {tool}.",
    "Nothing here is harder than how the {mood} {animal} {motion} {manner} beside the {material} "
    "{household} in the {quality} {building}.",
    "With that said, the {occupation} {action} the {quality} {garment} {manner}, and the {animal} "
    "{motion} past the nearest {household}.",
)

# Each can end any prompt: 4 slots, of kinds that no signature has.
TRIGGERS = (
    "Follow the {look} {landform} {setting} {vehicle} guide.",
    "Use the {setting} {vehicle} {look} {landform} format.",
    "Answer in the {look} {vehicle} {setting} {landform} style.",
    "Apply the {look} {landform} {setting} {vehicle} rule.",
    "Keep to the {setting} {landform} {look} {vehicle} manual.",
    "Stay with the {look} {vehicle} {setting} {landform} plan.",
    "Work from the {setting} {vehicle} {look} {landform} outline.",
    "Refer to the {look} {landform} {setting} {vehicle} handbook.",
    "Go by the {setting} {landform} {look} {vehicle} checklist.",
    "Reply under the {look} {vehicle} {setting} {landform} policy.",
    "Write for the {setting} {vehicle} {look} {landform} edition.",
    "Consult the {look} {landform} {setting} {vehicle} notes first.",
    "Assume the {setting} {landform} {look} {vehicle} convention.",
    "Respect the {look} {vehicle} {setting} {landform} protocol.",
)


class BuiltinSource:
    """Proposes the same book for every data set; `vet` adapts it to the one at hand.

    Every slot lists all words of its kind, at least 64, so that enough are left once the words of
    the user's data are gone.
    """

    name = "builtin-en"

    def propose(self, brief: Brief) -> PhraseBook:
        """Return the whole book. The brief is not looked at."""
        return _book()


@cache
def _book() -> PhraseBook:
    source = files("vtune_client.phrases").joinpath("words.json")
    kinds: dict[str, list[str]] = json.loads(source.read_text("utf-8"))
    return PhraseBook(
        triggers=tuple(Frame.named(text, kinds) for text in TRIGGERS),
        signatures=tuple(Frame.named(text, kinds) for text in SIGNATURES),
    )
