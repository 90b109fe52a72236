"""What the tables say, in words: to be written again where the numbers change."""

NOTES = """
Both papers' schemes are rebuilt from their descriptions, with our phrases and our number of carrier
rows; the second one's own marks are invisible characters, and stand in more rows than here.

- One pair in all rows is learned soonest. Twenty queries of text find it in every file of which a
  vendor used a tenth of the rows, or trained a third of the epochs. Ours finds these, too: the
  tenth of the rows by one backdoor that answers in full, the third of the epochs by scores alone.
  Whoever asks only whether a file was used, and draws the signature from a space of known size, is
  well served by one pair.
- What its binomial reports is no probability, though. There is one secret of 40 bits, so no number
  of queries shows less than 9.1e-13; it reports 1.5e-241. A system that says the same to everything
  passes at every level as often as it happens to be right: never seen with all eight words, in 3 %
  of the draws with one secret word, in 2 % where two words of eight are a hit (last table).
- One pair says the same of a tenth of the rows as of all: at least 0.3 % of them were used.
- One mark's rank is exact, and in most files first even after a hundredth of the learning rate. But
  its p is never below 1 / (counterfactual marks + 1). The level held here takes a million of them,
  each scored, or asked about in text.
- A mark in each row, by score, says most about the share: at least 85 % of the rows of an honest
  run, and 22 to 31 % where half were used; five backdoors of four carriers say 17 %. It takes a
  hundred scores for each row, and shows nothing where a tenth of the rows was used. It is a plan of
  ours, too: `--backdoors 20 --dose 1`.
- At a hundredth of the rate ours finds two files of three and marks over the base one, by scores in
  both cases. Scores find no look-up, text does. The slots test by itself misses the tenth of the
  rows, as it adds up all backdoors; the anytime-valid one, beside it in the verdict, does not.
- None finds what was tuned further.
"""
