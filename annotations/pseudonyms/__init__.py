"""Copies of the pictures that name nobody: headers, metadata and names replaced or gone."""

from __future__ import annotations

from annotations.pseudonyms.run import PseudonymReport, pseudonymise

__all__ = ["PseudonymReport", "pseudonymise"]
