"""What verify and check found → JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from occy_fast import schema
from occy_fast.running.error_document import error_document

if TYPE_CHECKING:
    from occy_fast.image.finding import Finding
    from occy_fast.running.check import CheckReport
    from occy_fast.running.verify import VerifyReport
    from occy_fast.targets.judge import TargetFinding


def verify_document(report: VerifyReport) -> dict[str, Any]:
    """Return what verify found as a JSON object; sizes are bytes."""
    return {
        "schema": schema.VERIFY,
        "locator": report.locator,
        "exit_code": report.exit_code,
        "images": report.images,
        "layers": report.layers,
        "bytes": report.size,
        "seconds": round(report.seconds, 6),
        "findings": [_finding(finding) for finding in report.findings],
    }


def check_document(report: CheckReport) -> dict[str, Any]:
    """Return what check found as a JSON object."""
    return {
        "schema": schema.CHECK,
        "locator": report.locator,
        "targets": list(report.targets),
        "judged_as": dict(zip(report.targets, report.rows, strict=True)),
        "deep": report.deep,
        "exit_code": report.exit_code,
        "findings": [_target_finding(finding) for finding in report.findings],
        "unknown": [_target_finding(finding) for finding in report.unknown],
        "deliveries": [delivery.to_json() for delivery in report.deliveries],
        "unread": None if report.unread is None else error_document(report.unread),
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "severity": finding.severity,
        "where": finding.where,
        "location": finding.place.to_json(),
        "problem": finding.problem,
        "error": None if finding.error is None else error_document(finding.error),
    }


def _target_finding(finding: TargetFinding) -> dict[str, Any]:
    return {
        "target": finding.target,
        "rule": finding.rule,
        "severity": finding.severity,
        "place": str(finding.place),
        "location": finding.place.to_json(),
        "problem": finding.problem,
        "says": finding.says or None,
        "sources": list(finding.sources),
        "mend": finding.fix,
    }
