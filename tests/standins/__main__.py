"""The whole product in its Azure configuration, with no account: `make run-azure-standin`.

    python -m tests.standins [--fault NAME] [--entra] [command of answerdesk …]

Starts the stand-ins of Azure OpenAI and Azure AI Search on loopback, then `answerdesk serve` (or the command that is
given) with the settings that point there. With `--fault` every chat completion and every search goes wrong in that way;
with `--entra` there are no keys, but a managed identity and its tokens.
Data is kept apart, in a folder of its own that goes in the end.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile

from tests.standins.azure_openai import AzureOpenAIStandIn
from tests.standins.azure_search import AzureSearchStandIn
from tests.standins.entra import EntraStandIn
from tests.standins.faults import FAULTS
from tests.standins.speaking import speak

PACE = 0.03
"""Seconds between two words, about the pace of a model."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.standins")
    parser.add_argument("--fault", choices=sorted(FAULTS), help="what goes wrong, each time")
    parser.add_argument("--entra", action="store_true", help="by Microsoft Entra ID, without keys")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="of answerdesk; `serve` unless told")
    options = parser.parse_args(arguments)
    with (
        EntraStandIn() as entra,
        AzureOpenAIStandIn(pace=PACE, entra=entra if options.entra else None) as model,
        AzureSearchStandIn(entra=entra if options.entra else None) as search,
        tempfile.TemporaryDirectory(prefix="answerdesk-azure-") as folder,
    ):
        model.otherwise = speak
        model.other_deployments = set(filter(None, [os.environ.get("AZURE_OPENAI_SMALL_DEPLOYMENT")]))
        known_by = entra.environment() if options.entra else {}
        environment = {**os.environ, "DATA_DIR": folder, **known_by, **model.environment(), **search.environment()}
        command = [sys.executable, "-c", "import cli; cli.main()"]
        # What `serve` does for itself.
        for step in {"ask": ["ingest"], "doctor": ["migrate", "ingest"]}.get("".join(options.command[:1]), []):
            subprocess.run([*command, step], env=environment, check=True)
        if options.fault:
            model.fault = search.fault = FAULTS[options.fault]
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # for the server to hear, which drains
        return subprocess.run([*command, *(options.command or ["serve"])], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
