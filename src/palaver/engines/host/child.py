"""The process around a blocking model: `python -m palaver.engines.host.child ENGINE`.

The socket lives on the main thread, the model on one other.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from palaver.core.errors import EngineError, PalaverError
from palaver.engines.child import program
from palaver.engines.child.options import Options, Report
from palaver.engines.host.model import HostedModel
from palaver.engines.host.server import Server
from palaver.engines.host.slot import Slot
from palaver.engines.registry import find


def main() -> None:
    """Serve until stdin closes."""
    opener = find(sys.argv[1]).opener
    program.run(lambda options, say: _run(opener, options, say), (opener,))


def _run(opener: str, options: Options, report: program.Say) -> None:
    """Load the model, say so, and serve for good; raises where loading fails."""
    # One thread for all that the model does: torch and MLX keep settings and streams by thread.
    worker = ThreadPoolExecutor(1, "model")
    model = worker.submit(_open, opener, options, report).result()
    report(Report(model=model.file))
    server = Server(Slot(model, options.batch), worker, options.secret, Path(options.slots))
    asyncio.run(_serve(server, model.file.socket, report))


def _open(opener: str, options: Options, report: program.Say) -> HostedModel:
    module = importlib.import_module(opener)
    try:
        model: HostedModel = module.open_model(options, lambda text: report(Report(progress=text)))
        return model
    except (PalaverError, MemoryError):
        raise
    except Exception as error:
        traceback.print_exception(error)
        raise EngineError(f"{type(error).__name__}: {error}") from error


async def _serve(server: Server, socket: str, report: program.Say) -> None:
    async with await asyncio.start_unix_server(server.serve, socket) as listening:
        report(Report(ready=True))
        await listening.serve_forever()


if __name__ == "__main__":
    main()
