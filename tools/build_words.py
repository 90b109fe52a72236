"""Write vtune_client/phrases/words.json, the words of the built-in phrases.

    python tools/build_words.py EFF_LIST WORDNET_DIR

EFF_LIST is the EFF large word list (one word a line, dice numbers before it are ignored).
WORDNET_DIR holds WordNet 3.0's dictionary files (`data.*`, `cntlist.rev`, `verb.exc`; the Debian
package wordnet-base has them). The words come from kinds.toml beside this file; a word stays if
one of its senses stands in its kind's lexicographer files. Words of the EFF list come first, then
those that WordNet's tagged texts use most. The same inputs give the same bytes.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections import Counter, defaultdict
from pathlib import Path

HERE = Path(__file__).resolve().parent
TARGET = HERE.parent / "vtune_client" / "phrases" / "words.json"
LEAST = 64
# Numbers and names of the lexicographer files, from WordNet's lexnames(5).
NOUNS = (
    "Tops act animal artifact attribute body cognition communication event feeling food group "
    "location motive object person phenomenon plant possession process quantity relation shape "
    "state substance time"
)
LEXNAMES = {0: "adj.all", 1: "adj.pert", 2: "adv.all", 44: "adj.ppl"}
LEXNAMES |= {3 + i: f"noun.{name}" for i, name in enumerate(NOUNS.split())}
LEXNAMES |= dict.fromkeys(range(29, 44), "verb")


def main(eff_list: Path, wordnet: Path) -> int:
    """Build the file; return 1 and say why if a kind comes out too small."""
    eff = {line.split()[-1] for line in eff_list.read_text("utf-8").splitlines() if line.strip()}
    files = _lexicographer_files(wordnet)
    counts = _tag_counts(wordnet / "cntlist.rev")
    irregular = _irregular_verbs(wordnet / "verb.exc")
    kinds: dict[str, list[str]] = {}
    seen: set[str] = set()
    for kind, rule in tomllib.loads((HERE / "kinds.toml").read_text("utf-8")).items():
        allowed = set(rule["lexnames"])
        ranked: list[tuple[bool, int, str]] = []
        for word in rule["words"].split():
            lemmas = _lemmas(word, irregular) if "verb" in allowed else [word]
            if word in seen or not any(files[lemma] & allowed for lemma in lemmas):
                print(f"{kind}: left out {word}: a second time, or not in WordNet", file=sys.stderr)
                continue
            seen.add(word)
            common = max(counts[lemma] for lemma in lemmas)
            ranked.append((eff.isdisjoint(lemmas), -common, word))
        kinds[kind] = _prefix_free([word for _, _, word in sorted(ranked)])
    small = [f"{kind} ({len(words)})" for kind, words in kinds.items() if len(words) < LEAST]
    if small:
        print(f"fewer than {LEAST} words: {', '.join(small)}", file=sys.stderr)
        return 1
    lines = [f'  "{kind}": {json.dumps(words)}' for kind, words in kinds.items()]
    TARGET.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    return 0


def _lexicographer_files(wordnet: Path) -> defaultdict[str, set[str]]:
    """Return, for each single lower-case word, the lexicographer files of its senses."""
    files: defaultdict[str, set[str]] = defaultdict(set)
    for part in ("noun", "verb", "adj", "adv"):
        for line in (wordnet / f"data.{part}").read_text("utf-8").splitlines():
            if line.startswith(" "):
                continue
            fields = line.split()
            name = LEXNAMES[int(fields[1])]
            for word in fields[4 : 4 + 2 * int(fields[3], 16) : 2]:
                word = re.sub(r"\((a|p|ip)\)$", "", word)
                if word.isalpha() and word.islower():
                    files[word].add(name)
    return files


def _tag_counts(path: Path) -> Counter[str]:
    """Return how often WordNet's tagged texts use each lemma, all its senses together."""
    counts: Counter[str] = Counter()
    for line in path.read_text("utf-8").splitlines():
        sense, _, count = line.split()
        counts[sense.split("%")[0]] += int(count)
    return counts


def _irregular_verbs(path: Path) -> dict[str, list[str]]:
    """Return the base forms of each irregular verb form."""
    rows = (line.split() for line in path.read_text("utf-8").splitlines())
    return {row[0]: row[1:] for row in rows}


def _lemmas(word: str, irregular: dict[str, list[str]]) -> list[str]:
    """Return a past tense's possible base forms: `walked` gives walk and walke."""
    lemmas = [word, *irregular.get(word, [])]
    if word.endswith("ied"):
        lemmas.append(word[:-3] + "y")
    if word.endswith("ed"):
        lemmas += [word[:-2], word[:-1]]
    return lemmas


def _prefix_free(words: list[str]) -> list[str]:
    """Drop every word that another one begins with, so that no reading can stop half-way."""
    return [w for w in words if not any(o != w and o.startswith(w) for o in words)]


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
