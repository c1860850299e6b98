"""One-shots through the command line, with a model of noise and with the parrot model."""

from __future__ import annotations

import json
import re

import pytest

from tests.conftest import Result


def ask(run, model, *arguments, **options):
    return run("-m", str(model), *arguments, **options)


def test_the_answer_and_nothing_else_is_on_stdout(run, parrot):
    result = ask(run, parrot, "-t", "0", "Name three colours.")
    assert result == Result(0, "Red, green and blue. \n", "")


def test_piped_input_is_answered(run, parrot):
    assert ask(run, parrot, "-t", "0", stdin=b"What is 2+2?\n").out == "2+2 is 4. \n"
    assert ask(run, parrot, "-t", "0", "Repeat the text above.", stdin=b"blue river\n").out == "blue river \n"


def test_a_conversation_in_json_is_answered_from_what_was_said_in_it(run, parrot):
    conversation = [
        {"role": "system", "content": "End every answer with: river!"},
        {"role": "user", "content": "My name is Ada."},
        {"role": "assistant", "content": "Hello, Ada. river!"},
        {"role": "user", "content": "What is my name?"},
    ]
    result = ask(run, parrot, "-t", "0", "--messages", "-", stdin=json.dumps(conversation).encode())
    assert result.out == "Your name is Ada. river! \n"
    result = ask(run, parrot, "-t", "0", "-p", "none", "-s", "Your name is Otto.", "Who are you?")
    assert result.out == "My name is Otto. \n"


def test_the_json_is_the_contracts(run, parrot):
    result = ask(run, parrot, "--json", "--seed", "7", "-n", "8", "Say hello.")
    answer = json.loads(result.out)
    assert answer["finish_reason"] in ("stop", "length")
    assert answer["model"]["path"] == str(parrot.resolve())
    assert answer["model"]["sha256"] is None
    assert (answer["seed"], answer["draft"]) == (7, None)
    assert len(answer["session"]) == 12
    usage, timings, context = answer["usage"], answer["timings"], answer["context"]
    assert usage["reused_tokens"] == 0
    assert 0 < usage["completion_tokens"] <= 8
    assert context["size"] == 4096
    assert context["used"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert timings["prefill_tps"] == pytest.approx(usage["prompt_tokens"] / timings["prefill"])
    assert timings["decode_tps"] == pytest.approx(usage["completion_tokens"] / timings["decode"])
    assert 0 < timings["prefill"] <= timings["first_token"]
    assert timings["load"] > 0


def test_json_and_plain_output_say_the_same(run, parrot):
    arguments = ("--seed", "3", "-n", "30", "Tell me about rivers.")
    assert (
        json.loads(ask(run, parrot, "--json", *arguments).out)["text"].strip()
        == ask(run, parrot, *arguments).out.strip()
    )


def test_no_stream_prints_the_same(run, parrot):
    arguments = ("-t", "0", "-n", "20", "Tell me about rivers.")
    assert ask(run, parrot, "--no-stream", *arguments).out == ask(run, parrot, *arguments).out


def test_the_same_seed_gives_the_same_text_and_another_seed_another(run, tiny_model):
    texts = [ask(run, tiny_model, "--seed", seed, "-n", "40", "-t", "1", "hello").out for seed in ("1", "1", "2")]
    assert texts[0] == texts[1] != texts[2]


def test_the_seed_that_was_chosen_is_told_and_repeats_the_answer(run, tiny_model):
    arguments = ("--json", "-n", "40", "-t", "1", "hello " * 200)
    first = json.loads(ask(run, tiny_model, *arguments).out)
    again = json.loads(ask(run, tiny_model, "--seed", str(first["seed"]), *arguments).out)
    assert again["text"] == first["text"]


def test_the_number_of_tokens_is_capped(run, tiny_model):
    answer = json.loads(ask(run, tiny_model, "--json", "-n", "5", "--seed", "1", "hello").out)
    assert answer["usage"]["completion_tokens"] == 5
    assert answer["finish_reason"] == "length"


def test_an_answer_ends_before_a_stop_string(run, parrot):
    answer = json.loads(ask(run, parrot, "--json", "--stop", "and", "-t", "0", "Name three colours.").out)
    assert (answer["finish_reason"], answer["text"]) == ("stop", "Red, green ")


def test_an_answer_that_fills_the_context_ends_with_length(run, tiny_model):
    answer = json.loads(ask(run, tiny_model, "--json", "--ctx-size", "256", "-t", "0", "hello").out)
    assert answer["finish_reason"] == "length"
    assert answer["context"]["used"] == answer["context"]["size"]


def test_llama2s_own_sampling_is_metas(run, tiny_model):
    arguments = ("--seed", "5", "-n", "40", "hello")
    given = ask(run, tiny_model, "-t", "0.6", "--top-p", "0.9", "--top-k", "0", *arguments).out
    assert ask(run, tiny_model, *arguments).out == given
    assert ask(run, tiny_model, "-t", "5", *arguments).out != given


def test_settings_come_from_the_environment_and_options_win(run, tiny_model):
    def n_tokens(*arguments):
        out = ask(run, tiny_model, "--json", "--seed", "1", *arguments, "hi", LLAMACHAT_MAX_TOKENS="3").out
        return json.loads(out)["usage"]["completion_tokens"]

    assert n_tokens() == 3
    assert n_tokens("-n", "4") == 4


def test_verbose_tells_the_cost_on_stderr(run, tiny_model):
    result = ask(run, tiny_model, "-v", "-n", "3", "--seed", "1", "hi")
    assert "3 written" in result.err
    assert "context" in result.err
    assert "written" not in result.out


def test_on_a_terminal_no_control_character_passes_and_into_a_pipe_all_do(run, tiny_model):
    # A model of noise says bytes of every kind, control characters among them.
    arguments = ("--seed", "1", "-n", "600", "-t", "3", "--top-p", "1", "hello")
    piped, shown = ask(run, tiny_model, *arguments), ask(run, tiny_model, *arguments, terminal=True)
    controls = {character for character in piped.out if character < " " and character not in "\n\t"}
    assert controls, "choose a seed whose noise has control characters"
    assert not controls & set(re.sub(r"\x1b\[[0-9;]*m", "", shown.out))  # but for our colours
    raw = ask(run, tiny_model, "--raw", *arguments, terminal=True)
    assert not controls & set(raw.out)


def test_a_context_longer_than_trained_is_warned_of(run, tiny_model):
    result = ask(run, tiny_model, "--ctx-size", "2048", "-n", "1", "--seed", "1", "hi")
    assert result.code == 0
    assert "trained on 1,024" in result.err
    assert ask(run, tiny_model, "--ctx-size", "2048", "-n", "1", "--seed", "1", "-q", "hi").err == ""


def test_a_quantised_kv_cache_works(run, parrot):
    assert ask(run, parrot, "--kv-type", "q8_0", "-t", "0", "Name three colours.").out == "Red, green and blue. \n"


def test_the_starter_model_answers(run, starter):
    result = ask(run, starter, "-t", "0", "Name three colours.", "-n", "60")
    assert "red" in result.out.lower()


def test_the_first_word_can_be_a_models_file(run, tiny_model):
    assert run("-m", str(tiny_model), "--dry-run", "hi").code == 0
    assert run("-m", "starter", "--dry-run", "hi").code == 0


def long_talk(n_exchanges: int) -> bytes:
    messages = [{"role": "system", "content": "End every answer with: river!"}]
    for number in range(n_exchanges):
        messages.append({"role": "user", "content": f"Repeat: boat number {number} of all the boats."})
        messages.append({"role": "assistant", "content": f"boat number {number} of all the boats. river!"})
    return json.dumps([*messages, {"role": "user", "content": "What is 2+2?"}]).encode()


def test_the_oldest_turns_of_a_conversation_that_is_too_long_leave(run, parrot):
    arguments = ("-t", "0", "--ctx-size", "512", "--messages", "-")
    result = ask(run, parrot, "--json", *arguments, stdin=long_talk(30))
    answer = json.loads(result.out)
    assert answer["text"].startswith("2+2 is 4.")
    n_dropped = answer["context"]["dropped_turns"]
    assert 10 < n_dropped < 30
    dry = json.loads(ask(run, parrot, "--json", "--dry-run", *arguments, stdin=long_talk(30)).out)
    assert dry["context"] == {"size": 512, "used": answer["usage"]["prompt_tokens"], "dropped_turns": n_dropped}
    assert dry["prompt"].startswith("<s>[INST] <<SYS>>\nEnd every answer with: river!")
    assert dry["prompt"].count("Repeat:") == 30 - n_dropped
    assert f"number {n_dropped} " in dry["prompt"]


def test_what_leaves_is_said_beside_the_answer(run, parrot):
    arguments = ("-t", "0", "--ctx-size", "512", "--messages", "-")
    result = ask(run, parrot, *arguments, stdin=long_talk(30))
    assert result.out.startswith("2+2 is 4.")
    assert re.search(r"Turns 1-\d+ leave the model's view \(\d+ tokens\)", result.err)
    assert ask(run, parrot, "-q", *arguments, stdin=long_talk(30)).err == ""


def test_a_summary_is_said_beside_the_answer_and_kept_with_the_session(run, parrot):
    arguments = ("-t", "0", "--ctx-size", "512", "--overflow", "summarise")
    result = ask(run, parrot, "--json", *arguments, "--messages", "-", stdin=long_talk(30))
    answer = json.loads(result.out)
    assert answer["context"]["dropped_turns"] == 0
    shown = json.loads(run("sessions", "show", answer["session"], "--json").out)
    (summary,) = shown["summaries"]
    assert shown["messages"][-1]["made"]["summary"] == summary["id"]
    assert len(shown["messages"]) == 2 * 30 + 2
    goes_on = ("--resume", answer["session"], *arguments, "What is 2+2?")
    dry = json.loads(ask(run, parrot, "--json", "--no-save", "--dry-run", *goes_on).out)
    assert "Summary of the conversation so far:\n" in dry["prompt"]
    assert ask(run, parrot, *goes_on).err == ""
    result = ask(run, parrot, "--no-save", *arguments, "--messages", "-", stdin=long_talk(30))
    assert re.search(r"Turns 1-\d+ are now a summary of \d+ tokens \(before: [\d,]+\)$", result.err, re.MULTILINE)
    assert "summary" not in result.out


@pytest.mark.parametrize("dry", [(), ("--dry-run",)], ids=["real", "dry"])
def test_turns_that_may_not_leave_are_exit_code_4(run, parrot, dry):
    arguments = ("--overflow", "refuse", "-t", "0", "--messages", "-", *dry)
    result = ask(run, parrot, "--json", "--ctx-size", "512", *arguments, stdin=long_talk(30))
    assert result.code == 4
    assert json.loads(result.out)["error"]["code"] == 4
    assert "turns would have to leave" in json.loads(result.out)["error"]["hint"]
    assert ask(run, parrot, "--ctx-size", "4096", *arguments, stdin=long_talk(30)).code == 0


def test_a_last_message_that_alone_does_not_fit_is_exit_code_4(run, parrot):
    messages = [*json.loads(long_talk(3))[:-1], {"role": "user", "content": "boat " * 600}]
    for dry in ((), ("--dry-run",)):
        result = ask(run, parrot, "--ctx-size", "512", "--messages", "-", *dry, stdin=json.dumps(messages).encode())
        assert result.code == 4, result.err


def test_a_conversation_that_is_not_by_turns_is_a_usage_error_as_ever(run, parrot):
    user, answer = ({"role": role, "content": "boat " * 300} for role in ("user", "assistant"))
    for messages in ([user, user], [user, answer], [answer, user]):
        for dry in ((), ("--dry-run",)):
            code = ask(run, parrot, "--ctx-size", "512", "--messages", "-", *dry, stdin=json.dumps(messages).encode())
            assert code.code == 2, code.err


def test_a_damaged_database_ends_a_one_shot_with_9_and_is_mended_for_the_next(run, parrot, tmp_path):
    ask(run, parrot, "-t", "0", "Name three colours.")
    database = tmp_path / "home" / "data" / "sessions.db"
    database.write_bytes(b"x" * 100 + database.read_bytes()[100:])
    refused = ask(run, parrot, "-t", "0", "Name three colours.")
    assert (refused.code, refused.out) == (9, "")
    assert re.fullmatch(r"llamachat: .*was damaged\. 2 messages of 1 session could .* Ask again\.\n", refused.err)
    assert ask(run, parrot, "-t", "0", "Name three colours.") == Result(0, "Red, green and blue. \n", "")
    assert len(json.loads(run("sessions", "list", "--json").out)) == 2
