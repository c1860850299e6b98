"""The command line's options and their help, by Typer."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Annotated

import typer
from typer._click.exceptions import ClickException  # typer 0.28 vendors Click and does not export its root

from llamachat import __version__
from llamachat.cli.options import ChatOptions
from llamachat.errors import UsageError

_LARGEST = 2**31 - 1  # what llama.cpp can count to
_LARGEST_SEED = 2**32 - 2  # llama.cpp takes the next one for "choose one"
_PROMPT, _MODEL, _SAMPLING, _OUTPUT = "What to ask", "Which model, and how it runs", "Sampling", "What comes out"

_app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)


def parse(arguments: list[str]) -> ChatOptions | None:
    """The options of a chat; None when the answer was a page of help. Raises UsageError."""
    command = typer.main.get_command(_app)
    try:
        result = command.main(args=arguments, prog_name="llamachat", standalone_mode=False)
    except ClickException as error:
        message = error.format_message().replace("\n", " ").rstrip(".")
        raise UsageError(f"{message[0].lower()}{message[1:]}.", "All options: llamachat --help") from error
    except SystemExit as error:  # Click's answer to a reader that closed the pipe
        raise BrokenPipeError from error
    if not isinstance(result, ChatOptions):
        sys.stdout.flush()
        return None
    _check(result)
    return result


def _check(options: ChatOptions) -> None:
    for name, value in options.sampling.items():
        if not math.isfinite(value):
            raise UsageError(f"--{name.replace('_', '-')} must be a finite number.", "Example: -t 0.6")
    if options.messages is not None and (options.prompt or options.files):
        raise UsageError("--messages is the whole conversation, and a prompt or -f cannot be added to it.")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"llamachat {__version__}")
        raise typer.Exit


def _gpu_layers(value: str) -> int:
    """`auto` is given by leaving the option out; here: all, or a number."""
    if value == "all":
        return -1
    if value.isascii() and value.isdigit() and int(value) <= _LARGEST:
        return int(value)
    raise typer.BadParameter(f"{value!r} is not auto, all or a number of layers")


@_app.command(epilog=r"Piped input comes before PROMPT, files before both. Without any of them: a chat.")
def chat(
    prompt: Annotated[
        list[str] | None, typer.Argument(help="What to ask, once. Leave it out to chat.", show_default=False)
    ] = None,
    file: Annotated[
        list[Path] | None,
        typer.Option(
            "-f", "--file", help="Put this file's text before the prompt. Repeatable.", rich_help_panel=_PROMPT
        ),
    ] = None,
    system: Annotated[
        str | None,
        typer.Option("-s", "--system", envvar="LLAMACHAT_SYSTEM", help="The system prompt.", rich_help_panel=_PROMPT),
    ] = None,
    messages: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|-", help='A whole conversation: a JSON list of {"role", "content"}.', rich_help_panel=_PROMPT
        ),
    ] = None,
    raw_tags: Annotated[
        bool,
        typer.Option("--raw-tags", help="Let [INST] and its like through, as plain text.", rich_help_panel=_PROMPT),
    ] = False,
    model: Annotated[
        str | None,
        typer.Option(
            "-m",
            "--model",
            envvar="LLAMACHAT_MODEL",
            help="A GGUF file; without it, the starter model.",
            rich_help_panel=_MODEL,
        ),
    ] = None,
    format_: Annotated[
        str | None,
        typer.Option(
            "--format",
            envvar="LLAMACHAT_FORMAT",
            metavar="NAME",
            help="The chat format: llama2, template (the model's own) or plain.",
            rich_help_panel=_MODEL,
        ),
    ] = None,
    ctx_size: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=_LARGEST,
            envvar="LLAMACHAT_CTX_SIZE",
            help="The context in tokens; what the model was trained on.",
            rich_help_panel=_MODEL,
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=512,
            envvar="LLAMACHAT_THREADS",
            help="CPU threads; one for each fast core.",
            rich_help_panel=_MODEL,
        ),
    ] = None,
    gpu_layers: Annotated[
        str,
        typer.Option(
            envvar="LLAMACHAT_GPU_LAYERS", metavar="auto|all|N", help="Layers to run on a GPU.", rich_help_panel=_MODEL
        ),
    ] = "auto",
    kv_type: Annotated[
        str,
        typer.Option(
            envvar="LLAMACHAT_KV_TYPE",
            metavar="f16|q8_0",
            help="The KV cache's type; q8_0 halves its memory.",
            rich_help_panel=_MODEL,
        ),
    ] = "f16",
    temperature: Annotated[
        float | None,
        typer.Option(
            "-t",
            "--temperature",
            min=0,
            max=100,
            envvar="LLAMACHAT_TEMPERATURE",
            help="0 always takes the likeliest token.",
            rich_help_panel=_SAMPLING,
        ),
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            envvar="LLAMACHAT_TOP_P",
            help="Keep the likeliest tokens of this total probability.",
            rich_help_panel=_SAMPLING,
        ),
    ] = None,
    top_k: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=_LARGEST,
            envvar="LLAMACHAT_TOP_K",
            help="Keep this many of the likeliest; 0 keeps all.",
            rich_help_panel=_SAMPLING,
        ),
    ] = None,
    min_p: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            envvar="LLAMACHAT_MIN_P",
            help="Keep tokens this likely compared with the likeliest.",
            rich_help_panel=_SAMPLING,
        ),
    ] = None,
    repeat_penalty: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            max=100,
            envvar="LLAMACHAT_REPEAT_PENALTY",
            help="Above 1 makes repetition less likely.",
            rich_help_panel=_SAMPLING,
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=_LARGEST_SEED,
            envvar="LLAMACHAT_SEED",
            help="The same seed and prompt give the same answer.",
            rich_help_panel=_SAMPLING,
        ),
    ] = None,
    max_tokens: Annotated[
        int | None,
        typer.Option(
            "-n",
            "--max-tokens",
            min=1,
            max=_LARGEST,
            envvar="LLAMACHAT_MAX_TOKENS",
            help="End the answer after so many tokens.",
            rich_help_panel=_SAMPLING,
        ),
    ] = None,
    stop: Annotated[
        list[str] | None, typer.Option(help="End the answer before this text. Repeatable.", rich_help_panel=_SAMPLING)
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="One JSON object: the answer, and what it took.", rich_help_panel=_OUTPUT)
    ] = False,
    no_stream: Annotated[
        bool, typer.Option("--no-stream", help="Print the answer when it is whole.", rich_help_panel=_OUTPUT)
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Show the prompt as the model would get it; ask nothing.", rich_help_panel=_OUTPUT
        ),
    ] = False,
    plain: Annotated[
        bool,
        typer.Option(
            "--plain", help="No colours, nothing that moves. ACCESSIBLE=1 does the same.", rich_help_panel=_OUTPUT
        ),
    ] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No notices.", rich_help_panel=_OUTPUT)] = False,
    verbose: Annotated[
        bool,
        typer.Option("-v", "--verbose", help="Tokens, speed and context after each answer.", rich_help_panel=_OUTPUT),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show where an error comes from.", rich_help_panel=_OUTPUT)
    ] = False,
    version: Annotated[  # noqa: ARG001
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> ChatOptions:
    """Chat with a local model, or ask one thing.

    llamachat · llamachat "why is the sky blue?" · git diff | llamachat "any bugs?"
    """
    if kv_type not in ("f16", "q8_0"):
        raise typer.BadParameter(f"--kv-type {kv_type!r} is not f16 or q8_0")
    return ChatOptions(
        prompt=tuple(prompt or ()),
        model=model,
        format=format_,
        system=system,
        files=tuple(file or ()),
        messages=messages,
        temperature=temperature,
        top_p=top_p,
        top_k=top_k,
        min_p=min_p,
        repeat_penalty=repeat_penalty,
        seed=seed,
        max_tokens=max_tokens,
        stops=tuple(stop or ()),
        n_ctx=ctx_size,
        n_threads=threads,
        gpu_layers=None if gpu_layers == "auto" else _gpu_layers(gpu_layers),
        kv_type=kv_type,
        json=json,
        stream=not no_stream,
        plain=plain,
        raw_tags=raw_tags,
        dry_run=dry_run,
        quiet=quiet,
        verbose=verbose,
        debug=debug,
    )
