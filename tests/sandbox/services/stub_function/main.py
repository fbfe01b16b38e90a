"""A function that tells what it was given: the process's tests need nothing of the real one."""

import json
import os
import sys
from pathlib import Path

import functions_framework.aio
from starlette.requests import Request

if os.environ.get("STUB_FAILS") == "1":
    sys.exit("XCAPI_CONFIG: 1 problem: pixels: found nothing, expected an object")


@functions_framework.aio.http
async def send_conversions(request: Request) -> dict[str, object]:
    sys.stdout.write(json.dumps({"severity": "INFO", "message": "stub.called", "method": request.method}) + "\n")
    return {"environment": dict(os.environ), "path": sys.path, "directory": str(Path.cwd())}
