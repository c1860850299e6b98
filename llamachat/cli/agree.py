"""A licence that wants a yes, asked once."""

from __future__ import annotations

from datetime import date

from llamachat.cli.confirm import confirm
from llamachat.cli.output import say_in_lines
from llamachat.environment import Environment
from llamachat.errors import UsageError
from llamachat.models import licence
from llamachat.models.licence import Acceptances


def agree(licence_id: str | None, environment: Environment, *, accept: bool) -> None:
    """Show what a licence asks and record the yes. Nothing is asked for a licence that needs none.

    Raises Interrupted for a no, and UsageError where nobody can be asked.
    """
    acceptances = Acceptances(environment.paths.licences)
    found = licence.find(licence_id or "")
    if found is None or acceptances.is_accepted(found.id):
        return
    if not accept:
        lines = [f"{found.title} ({found.version}), in our words:", *(f"  {line}" for line in found.summary)]
        lines += ["What counts is the text itself:", *(f"  {address}" for address in found.addresses)]
        say_in_lines(environment, lines)
        if not environment.stdin_is_terminal:
            raise UsageError(f"the {found.title} wants your yes.", "If you agree: --accept-licence")
    confirm("Do you accept it?", environment, yes=accept)
    acceptances.accept(found.id, date.today())
