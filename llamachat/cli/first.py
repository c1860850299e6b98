"""The first chat on a machine where there is no model at all: an offer to get one."""

from __future__ import annotations

from llamachat.choices import Choices
from llamachat.cli import pull
from llamachat.cli.assemble import make_library
from llamachat.cli.confirm import confirm
from llamachat.cli.fit import describe, recommendations, table_of
from llamachat.cli.output import print_table, say
from llamachat.environment import Environment
from llamachat.models import memory
from llamachat.models.catalogue import Kind
from llamachat.models.sizes import size_in_words


def offer(choices: Choices, environment: Environment) -> None:
    """Show which Llama 2 fits this machine, and fetch the first if the user says so.

    Raises Interrupted for a no, and what a pull raises.
    """
    library = make_library(environment)
    machine = memory.look(library.cache).measured()
    chats = [entry for entry in library.catalogue.entries if entry.kind is Kind.CHAT and entry.licence == "llama2"]
    recommended = recommendations(chats, machine, choices)
    say(environment, f"There is no model on this machine yet. It has {describe(machine)}, and this is what could run:")
    print_table(environment, table_of(recommended))
    first, option = recommended[0]
    size = size_in_words(option.n_bytes or 0)
    confirm(f"Download {first.name} ({option.quantisation}, {size}) now?", environment, yes=False)
    pull.run([f"{first.name}:{option.quantisation}"], environment)
