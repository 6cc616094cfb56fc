"""Where radiographs and boxes come from: one module per data source, all in ``SOURCES``."""

from __future__ import annotations

from typing import Final

from annotations.sources import (
    chestx_det,
    chexlocalize,
    coco,
    csv_export,
    dicom,
    folder,
    iu_xray,
    nih_chestxray14,
    vindr_cxr,
)
from annotations.sources.listing import Source

SOURCES: Final[dict[str, Source]] = {
    source.kind: source
    for source in (
        folder.SOURCE,
        dicom.SOURCE,
        iu_xray.SOURCE,
        nih_chestxray14.SOURCE,
        vindr_cxr.SOURCE,
        coco.SOURCE,
        chexlocalize.SOURCE,
        chestx_det.SOURCE,
        csv_export.SOURCE,
    )
}
