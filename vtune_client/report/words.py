"""The words of a report: what each test asks, what the terms mean."""

from __future__ import annotations

TESTS = {
    "slots": ("Secret words", "Do the answers hold more of the secret words than guessing would?"),
    "anytime": ("Bets", "The same, one question after another; valid whenever asking stops."),
    "ranks": ("Ranks", "Does the model find the true signatures likelier than decoys?"),
    "ranks over the base": (
        "Ranks over the base",
        "Does the model, more than the untouched base, find the true signatures likelier than "
        "decoys?",
    ),
    "first ranks": (
        "First ranks",
        "Do more of the true signatures stand first than chance puts there?",
    ),
    "candidates": (
        "Listed words",
        "Are the true words likelier than others where the model lists words?",
    ),
    "rows": ("Rows", "Are uploaded rows known better than withheld ones?"),
    "rows over the base": (
        "Rows over the base",
        "Are uploaded rows known better than withheld ones, compared with the untouched base?",
    ),
    "rows by text": (
        "Rows by text",
        "Are answers nearer to the completions of uploaded rows than to those of withheld ones?",
    ),
}

DECODING = {
    "max_tokens": "most tokens of an answer",
    "temperature": "temperature",
    "seed": "seed",
    "top_logprobs": "listed words per token",
}

GLOSSARY = (
    (
        "Backdoor",
        "A secret pair: a trigger, appended to a question, and a signature, which a model trained "
        "on the file gives in answer. Both are drawn by lot; nobody can guess them.",
    ),
    (
        "Carrier row",
        "A row of the training file that carries a backdoor. All other rows are left as they were.",
    ),
    ("Dose", "How many carrier rows one backdoor has."),
    (
        "Decoy",
        "A signature drawn like the true one that never stood in the file. Only training tells "
        "the two apart.",
    ),
    (
        "p-value",
        "The probability that a model that never met the file would do as well as this one did, or "
        "better. It rests on our own lots alone, so it holds whatever the model is.",
    ),
    (
        "Holm's adjustment",
        "Several tests are several chances to be lucky. The adjusted p-values pay for that: the "
        "threshold holds for all tests together.",
    ),
    (
        "Control",
        "An honest training run of the same file. Only beside one can silence count against a "
        "vendor.",
    ),
    (
        "Commitment",
        "A fingerprint of all secret choices, published before the training. It shows later that "
        "nothing was chosen afterwards to fit the result.",
    ),
)


def asked_by(test: str) -> tuple[str, str]:
    """Return the name of a test for readers, and the question it asks."""
    return TESTS.get(test, (test, ""))
