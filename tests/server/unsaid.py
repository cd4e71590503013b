"""A hook of schemathesis: what no schema can say of a request may be refused all the same.

See `palaver.server.openai.rules`. All else that the document allows has to be taken.
"""

import re

import schemathesis
from schemathesis.core.failures import Failure

_UNSAID = re.compile(
    r"no message before has a call"
    r"|no call .* came before"
    r"|no tool is named"
    r"|an answer that is begun is not gone on with"
    r"|there are two tools named"
)


@schemathesis.hook
def filter_failure(context, failure: Failure, case, response) -> bool:
    """Say whether a failure counts."""
    rejected = type(failure).__name__ == "RejectedPositiveData"
    return not (rejected and response.status_code == 400 and _UNSAID.search(response.text))
