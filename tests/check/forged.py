"""What a dishonest auditor can do: change the statement and sign it, with the log written anew.

`settle` computes all that follows from what was changed, as an auditor would who knows how."""

from __future__ import annotations

import json

from tests.check.evidence import Evidence
from tests.check.tampered import Tampering
from vtune_client.commitment import backdoor_of, item_digest
from vtune_client.signing import Ed25519Signer
from vtune_client.vault import RootKey

HOUR = 3600.0

found_at = Tampering()


@found_at("the signature", "not an in-toto statement")
def a_statement_signed_as_something_else(e: Evidence) -> None:
    payload = json.dumps(e.statement).encode()
    e.envelope = Ed25519Signer(RootKey(e.seed)).sign(payload, "text/plain")


@found_at("", "The payload is not a statement", "_type")
def a_statement_of_another_type(e: Evidence) -> None:
    e.statement["_type"] = "https://in-toto.io/Statement/v0.1"


@found_at("", "in full")
def a_statement_without_its_type(e: Evidence) -> None:
    del e.statement["_type"]


@found_at("", "predicate.remark")
def a_remark_in_the_statement(e: Evidence) -> None:
    e.stated["remark"] = "all is well"


@found_at("the commitment", "another digest")
def a_threshold_raised_in_the_commitment(e: Evidence) -> None:
    e.document["alpha"] = 0.05


@found_at("the commitment's digest", "not the one that you gave")
def a_commitment_made_afterwards(e: Evidence) -> None:
    e.document["alpha"] = e.document["spec"]["alpha"] = e.verdict["alpha"] = 0.05
    e.commit_anew()
    e.settle()


@found_at("receipt 1", "for something else")
def a_commitment_made_afterwards_that_nobody_knew_before(e: Evidence) -> None:
    e.document["signer"] = None
    e.commit_anew()
    e.settle()
    e.commitment = e.stated["commitment_sha256"]


@found_at("the plan's leaves", "do not give the Merkle root")
def a_leaf_replaced(e: Evidence) -> None:
    e.stated["leaves"][0] = "0" * 64


@found_at("the sizes")
def a_leaf_taken_out(e: Evidence) -> None:
    del e.stated["leaves"][5]


@found_at("the draws", "not those committed to")
def luckier_draws(e: Evidence) -> None:
    e.stated["draws"]["streams"]["relabellings"] = "1" * 64


@found_at("the root key", "do not follow from it")
def draws_that_were_chosen_before_the_job(e: Evidence) -> None:
    e.everything["leaves"]["0"]["streams"]["ties of backdoor 0"] = "1" * 64
    e.commit_from_the_outset()


@found_at("the words", "draws other triggers or signatures")
def words_that_were_chosen_before_the_job(e: Evidence) -> None:
    leaf = e.everything["leaves"]["5"]
    candidates = leaf["frame"]["slots"][0]["candidates"]
    leaf["words"][0] = next(word for word in candidates if word != leaf["words"][0])
    e.commit_from_the_outset()


@found_at("the files", "other files")
def another_file_as_subject(e: Evidence) -> None:
    e.statement["subject"][0]["digest"]["sha256"] = "0" * 64


@found_at("the files", "other files")
def one_more_file_as_subject(e: Evidence) -> None:
    e.statement["subject"].append(e.statement["subject"][0])


@found_at("the files", "other files")
def another_digest_of_a_subject(e: Evidence) -> None:
    e.statement["subject"][0]["digest"]["sha512"] = "0" * 128


@found_at("the plan and the job", "different plans or jobs")
def the_verdict_of_another_job(e: Evidence) -> None:
    e.verdict["job"] = "job-00000000"
    e.settle()


@found_at("the plan and the job", "different plans or jobs")
def the_verdict_on_another_service(e: Evidence) -> None:
    e.verdict["provider"] = "local"
    e.settle()


@found_at("the order", "not what was committed to")
def fewer_epochs_said_to_be_ordered(e: Evidence) -> None:
    e.stated["job"]["job_spec"]["epochs"] = 1


@found_at("the rules", "not those committed to")
def a_test_that_was_not_committed_to(e: Evidence) -> None:
    e.verdict["tests"].append({**e.test("slots"), "name": "luck"})


@found_at("the rules", "not those committed to")
def another_threshold(e: Evidence) -> None:
    e.verdict["alpha"] = 0.05
    e.settle()


@found_at("the rules", "not those committed to")
def other_tests_committed_to(e: Evidence) -> None:
    e.document["tests"]["adjustment"] = "none"


@found_at("the questions", "not those committed to")
def a_dose_changed(e: Evidence) -> None:
    e.verdict["layout"]["doses"][0] = 1
    e.settle()


@found_at("the questions", "not those committed to")
def a_layout_left_out(e: Evidence) -> None:
    e.verdict["layout"] = None


@found_at("the questions", "not those committed to")
def a_warmer_decoding(e: Evidence) -> None:
    e.verdict["decoding"]["temperature"] = 1.0
    e.settle()


@found_at("the questions", "not those committed to")
def a_smaller_reserve(e: Evidence) -> None:
    e.verdict["reserve"] = 0
    e.settle()


@found_at("the fresh prompts", "not what the results give")
def fresh_prompts_said_to_be_answered(e: Evidence) -> None:
    e.verdict["fresh_prompts"]["activated"] += 1
    e.settle()


@found_at("the times", "out of order")
def an_upload_before_the_commitment(e: Evidence) -> None:
    e.stated["job"]["uploaded"] -= HOUR


@found_at("the times", "out of order")
def a_statement_before_the_questions(e: Evidence) -> None:
    e.stated["created"] = "2026-01-01T00:00:00+00:00"


@found_at("what the verdict is about", "form")
def a_time_that_is_none(e: Evidence) -> None:
    e.stated["created"] = "yesterday"


@found_at("the limits", "not said in it")
def the_limits_left_out(e: Evidence) -> None:
    e.stated["limits"] = []


@found_at("the numbers", "/log10_p", "/p")
def a_smaller_p(e: Evidence) -> None:
    e.verdict.update(log10_p=-80.0, p="1.0e-80")
    e.rewrite_log()


@found_at("the numbers", "/verdict")
def another_outcome(e: Evidence) -> None:
    e.verdict["verdict"] = "not verified"
    e.rewrite_log()


@found_at("the numbers", "/statement")
def another_sentence(e: Evidence) -> None:
    e.verdict["statement"] = "All rows were used."
    e.rewrite_log()


@found_at("the numbers", "/does_not_prove/0")
def a_reservation_softened(e: Evidence) -> None:
    e.verdict["does_not_prove"][0] = "Nothing of note."
    e.rewrite_log()


@found_at("the numbers", "/share/low")
def a_larger_share(e: Evidence) -> None:
    e.verdict["share"]["low"] = 0.95
    e.rewrite_log()


@found_at("the numbers", "/tests")
def a_test_left_out(e: Evidence) -> None:
    e.verdict["tests"] = [t for t in e.verdict["tests"] if t["name"] != "first ranks"]
    e.rewrite_log()


@found_at("the numbers", "form")
def a_number_that_is_a_word(e: Evidence) -> None:
    e.test("slots")["matched"][0] = "eight"


@found_at("the e-value", "not what the results give")
def a_larger_e_value(e: Evidence) -> None:
    e.verdict["anytime"]["log10_e"] += 3
    e.rewrite_log()


@found_at("counts and results", "not those of the results")
def a_match_counted_that_no_answer_gives(e: Evidence) -> None:
    e.test("slots")["matched"][0] = 8
    e.settle()


@found_at("backdoor 1", "the matches, question by question", "the counts of the slots")
def answers_said_to_match(e: Evidence) -> None:
    e.test("anytime")["results"][0] = [True] * 8
    e.test("slots")["matched"][0] = 8
    e.test("slots")["answers"][0] = 2
    e.settle()


@found_at("backdoor 2", "the number of questions")
def fewer_questions_said_to_be_planned(e: Evidence) -> None:
    e.test("anytime")["stakes"][1]["prompts"] = 4
    e.settle()


@found_at("backdoor 3", "the rank of its signature")
def a_better_rank_among_more_decoys(e: Evidence) -> None:
    for name in ("ranks over the base", "first ranks"):
        e.test(name)["decoys"][2] = 400
    e.settle()


@found_at("backdoor 1", "Read anew")
def an_answer_replaced_and_its_digest_too(e: Evidence) -> None:
    item, said = e.reveal["items"]["answer 0.0"], e.reveal["items"]["answer 1.0"]["value"]
    item["value"] = said | {"text": backdoor_of(e.leaf(0)).signature}
    salt = bytes.fromhex(item["salt"])
    e.stated["transcript"]["answer 0.0"] = item_digest("answer 0.0", item["value"], salt)


@found_at("backdoor 1", "1 of its answers are not in the reveal file")
def an_answer_and_its_digest_left_out(e: Evidence) -> None:
    del e.reveal["items"]["answer 0.1"]
    del e.stated["transcript"]["answer 0.1"]


@found_at("the scores of the rows", "not what was received")
def a_row_said_to_be_known_better(e: Evidence) -> None:
    e.verdict["rows"]["scores"][0][1] += 0.5
    e.settle()


@found_at("the labels of the rows", "not those committed to")
def a_withheld_row_said_to_be_uploaded(e: Evidence) -> None:
    scores = e.verdict["rows"]["scores"]
    one = next(row for row in scores if row[0])
    other = next(row for row in scores if not row[0])
    one[0], other[0] = False, True
    e.settle()


@found_at("the texts of the rows", "do not fit the user's file")
def a_row_said_to_be_shorter(e: Evidence) -> None:
    e.verdict["rows"]["scores"][0][2] -= 1
    e.settle()


@found_at("the sizes")
def a_thousand_million_questions(e: Evidence) -> None:
    e.test("anytime")["stakes"][0]["prompts"] = 10**9


@found_at("the sizes")
def a_thousand_million_answers(e: Evidence) -> None:
    e.test("slots")["answers"][0] = 10**9


@found_at("the sizes")
def a_thousand_million_backdoors(e: Evidence) -> None:
    e.document["backdoors"] = e.document["spec"]["reserve"] = 10**9


@found_at("the sizes")
def a_thousand_million_decoys(e: Evidence) -> None:
    e.document["spec"]["decoys"] = 10**9
