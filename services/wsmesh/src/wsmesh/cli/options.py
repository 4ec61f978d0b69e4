"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

AppId = Annotated[str | None, typer.Option("--app", envvar="WSMESH_APP", help="Id of the app.")]
AppKey = Annotated[str | None, typer.Option("--key", envvar="WSMESH_APP_KEY", help="Public key of the app.")]
AppSecret = Annotated[
    str | None, typer.Option("--secret", envvar="WSMESH_APP_SECRET", help="Secret of the app; other users see options.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for scripts instead of text for people.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
