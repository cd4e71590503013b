"""Runs palaver; once the prompt is drawn, writes the names of all loaded modules to a file.

python -m tests.terminal.startup_modules FILE palaver-arguments...
"""

import json
import sys
from pathlib import Path

from palaver.cli.main import main
from palaver.terminal import app

_, report, *arguments = sys.argv


class Watched(app.App):
    def __init__(self, *args):
        super().__init__(*args)
        self.application.after_render += self._drawn_once

    def _drawn_once(self, _application):
        self.application.after_render -= self._drawn_once
        Path(report).write_text(json.dumps(sorted(sys.modules)))


app.App = Watched
sys.argv = ["palaver", *arguments]
main()
