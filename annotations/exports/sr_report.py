"""One committed reading as a measurement report (TID 1500); only this module loads highdicom."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

import numpy as np
from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr import (
    CodedConcept,
    ComprehensiveSR,
    DeviceObserverIdentifyingAttributes,
    GraphicTypeValues,
    ImageRegion,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    PersonObserverIdentifyingAttributes,
    PlanarROIMeasurementsAndQualitativeEvaluations,
    QualitativeEvaluation,
    SourceImageForMeasurementGroup,
    SourceImageForRegion,
    TrackingIdentifier,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.valuerep import DA, DT, TM

from annotations.exports.sr_codes import (
    CERTAINTY_CODES,
    FINDING_CONTEXT,
    PLAIN_CHEST_XRAY,
    SCHEME,
    SCHEME_NAME,
    SrCode,
    finding_code,
    uid_of,
)
from annotations.findings import NO_FINDING
from annotations.records import CommittedReading, Region
from annotations.shapes import Point, Shape, polygon_rings

MANUFACTURER: Final = "Saliency Audit"
SERIES_NUMBER: Final = 1
_NOT_IN_NAMES: Final = re.compile(r"[\x00-\x1f\\^=]+")
_MAX_NAME: Final = 63  # 64 with the caret
_RIGHT_ANGLE: Final = 1e-3  # cosine between the axes of what DICOM calls an ellipse

Group = PlanarROIMeasurementsAndQualitativeEvaluations | MeasurementsAndQualitativeEvaluations
Outline = tuple[GraphicTypeValues, Sequence[Point]]


def build_report(
    source: Dataset, reading: CommittedReading, earlier: Sequence[Dataset]
) -> ComprehensiveSR:
    """The report of one version.

    Args:
        source: Of ``read_source``: the picture and its pseudonymous patient.
        reading: The version.
        earlier: Reports of the same reading's earlier versions.
    """
    groups = [group for one in reading.regions for group in _region_groups(source, reading, one)]
    content = MeasurementReport(
        observation_context=_observer(reading),
        procedure_reported=_concept(PLAIN_CHEST_XRAY),
        imaging_measurements=groups or [_nothing_group(source, reading)],
        title=codes.DCM.ImagingMeasurementReport,
    )
    moment = datetime.fromisoformat(reading.committed_at)
    report = ComprehensiveSR(
        evidence=[source],
        content=content,
        series_instance_uid=uid_of("series", reading.reading_id),
        series_number=SERIES_NUMBER,
        sop_instance_uid=uid_of("report", reading.reading_id, reading.commit_number),
        instance_number=reading.commit_number,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MANUFACTURER,
        series_description=f"Reading, version {reading.commit_number}",
        is_complete=True,
        is_final=True,
        previous_versions=list(earlier) or None,
        specific_character_set="ISO_IR 192",
        content_date=moment.date(),
        content_time=moment.time(),
        coding_schemes=[CodingSchemeIdentificationItem(SCHEME, name=SCHEME_NAME)],
    )
    report.InstanceCreationDate = DA(moment.date())
    report.InstanceCreationTime = TM(moment.time())
    report.TimezoneOffsetFromUTC = "+0000"
    for equipment in report.ContributingEquipmentSequence:
        equipment.ContributionDateTime = DT(moment.replace(tzinfo=None))
    return report


def person_name(reader: str) -> str:
    """The reader's name as a DICOM person name of one component."""
    return _NOT_IN_NAMES.sub(" ", reader).strip()[:_MAX_NAME] + "^"


def _observer(reading: CommittedReading) -> ObservationContext:
    """A person, with the name as DICOM allows it and as it is here; a device when synthetic."""
    if reading.reader_kind == "synthetic":
        device = DeviceObserverIdentifyingAttributes(
            uid=uid_of("reader", reading.reader), name=reading.reader
        )
        context = ObserverContext(_concept_of(codes.DCM.Device), device)
        return ObservationContext(observer_device_context=context)
    person = PersonObserverIdentifyingAttributes(
        name=person_name(reading.reader), login_name=reading.reader
    )
    context = ObserverContext(_concept_of(codes.DCM.Person), person)
    return ObservationContext(observer_person_context=context)


def _region_groups(source: Dataset, reading: CommittedReading, region: Region) -> Iterator[Group]:
    """One group per outline; those of one region share its tracking identifier."""
    for graphic_type, points in _outlines(region):
        yield PlanarROIMeasurementsAndQualitativeEvaluations(
            tracking_identifier=TrackingIdentifier(
                uid=uid_of("region", reading.reading_id, region.region_id),
                identifier=region.region_id,
            ),
            referenced_region=ImageRegion(
                graphic_type=graphic_type,
                graphic_data=np.asarray(points, dtype=np.float64),
                source_image=SourceImageForRegion(source.SOPClassUID, source.SOPInstanceUID),
            ),
            finding_type=_concept(finding_code(region.finding)),
            qualitative_evaluations=[
                QualitativeEvaluation(
                    _concept(FINDING_CONTEXT), _concept(CERTAINTY_CODES[region.certainty])
                )
            ],
        )


def _nothing_group(source: Dataset, reading: CommittedReading) -> Group:
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            uid=uid_of("nothing", reading.reading_id), identifier=NO_FINDING
        ),
        finding_type=_concept(finding_code(NO_FINDING)),
        source_images=[SourceImageForMeasurementGroup(source.SOPClassUID, source.SOPInstanceUID)],
    )


def _outlines(region: Region) -> Iterator[Outline]:
    if region.shape is None:
        x_min, y_min, x_max, y_max = region.box.corners
        corners = ((x_min, y_min), (x_max, y_min), (x_max, y_max), (x_min, y_max))
        yield GraphicTypeValues.POLYLINE, (*corners, corners[0])
    elif region.shape.kind == "ellipse" and _has_right_angle(region.shape):
        yield GraphicTypeValues.ELLIPSE, _longer_axis_first(region.shape)
    else:
        for ring in polygon_rings(region.shape):
            closed = ring if ring[0] == ring[-1] else (*ring, ring[0])
            yield GraphicTypeValues.POLYLINE, closed


def _longer_axis_first(shape: Shape) -> Sequence[Point]:
    first, second = shape.rings[0][:2], shape.rings[0][2:]
    return (*first, *second) if _length(first) >= _length(second) else (*second, *first)


def _has_right_angle(shape: Shape) -> bool:
    """Whether the axes are at right angles, as those of DICOM's ellipse are."""
    (a, b), (c, d) = shape.rings[0][:2], shape.rings[0][2:]
    dot = (b[0] - a[0]) * (d[0] - c[0]) + (b[1] - a[1]) * (d[1] - c[1])
    return abs(dot) <= _RIGHT_ANGLE * _length((a, b)) * _length((c, d))


def _length(axis: Sequence[Point]) -> float:
    return float(np.hypot(axis[1][0] - axis[0][0], axis[1][1] - axis[0][1]))


def _concept(code: SrCode) -> CodedConcept:
    return CodedConcept(code.value, code.scheme, code.meaning)


def _concept_of(code: Code) -> CodedConcept:
    return CodedConcept.from_code(code)
