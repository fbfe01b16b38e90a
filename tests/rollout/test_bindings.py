"""Every binding of the module and its examples follows what it binds through a replacement."""

import re

from tests.rollout.workspace import MODULE

# Keys of KMS are never ours to replace.
OF_OTHERS = {"google_kms_crypto_key_iam_member.agents"}


def test_every_binding_is_replaced_along_with_what_it_binds() -> None:
    """test_convergence.py shows it of the module's; that each has it, the examples' included, is seen here."""
    resources = [
        (f"{kind}.{name}", block)
        for file in MODULE.rglob("*.tf")
        for kind, name, block in re.findall(
            r'(?ms)^resource "(\w+_iam_\w+)" "(\w+)" \{\n(.*?)^\}', file.read_text(encoding="utf-8")
        )
    ]
    assert len(resources) > 20
    assert {name for name, block in resources if "replace_triggered_by" not in block} == OF_OTHERS
