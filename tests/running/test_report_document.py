"""What verify and check found, as JSON."""

from __future__ import annotations

import json

from occy_fast.errors import DigestMismatch, Unsupported
from occy_fast.image.finding import Finding
from occy_fast.image.place import Place
from occy_fast.running.check import CheckReport
from occy_fast.running.report_document import check_document, verify_document
from occy_fast.running.verify import VerifyReport
from occy_fast.targets.judge import TargetFinding
from support.contents import digest

LAYER = Place("layer", number=2)


def test_verify() -> None:
    error = DigestMismatch("app.tar: layer 2", digest("a"), digest("b"))
    found = (Finding("error", LAYER, "other bytes", "app.tar: layer 2", error=error), Finding("warning", LAYER, "odd"))
    document = verify_document(VerifyReport("app.tar", found, 1, 2, 3000, 0.25))
    assert json.loads(json.dumps(document)) == document
    assert (document["exit_code"], document["images"], document["layers"], document["bytes"]) == (4, 1, 2, 3000)
    first, second = document["findings"]
    assert (first["severity"], first["where"], first["location"]["number"]) == ("error", "app.tar: layer 2", 2)
    assert first["error"]["name"] == "DigestMismatch"
    assert second["error"] is None


def test_check() -> None:
    finding = TargetFinding("error", LAYER, "zstd", target="app-1.2", rule="zstd-layer", fix="occy-fast")
    unread = Unsupported("app.tar", "no image")
    report = CheckReport("app.tar", ("app-1.2",), (finding,), unread=unread, rows=("app-1",))
    document = check_document(report)
    assert json.loads(json.dumps(document)) == document
    assert (document["exit_code"], document["judged_as"]) == (10, {"app-1.2": "app-1"})
    (shown,) = document["findings"]
    assert (shown["rule"], shown["place"], shown["says"]) == ("zstd-layer", "layer 2", None)
    assert shown["mend"] == "occy-fast"
    assert document["unread"]["name"] == "Unsupported"
    assert document["unknown"] == []
