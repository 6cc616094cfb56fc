"""The software bill of materials: CycloneDX 1.6 as JSON."""

from __future__ import annotations

import uuid
from typing import Final

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL

from audit_app.supply import UNKNOWN, Package, packages, project_needs, project_version

NAME: Final = "saliency-audit"


def write_sbom() -> str:
    """The bill of this installation."""
    found = packages()
    root = Component(
        name=NAME, version=project_version(), type=ComponentType.APPLICATION, bom_ref=NAME
    )
    components = {one.name: _component(one) for one in found}
    bom = Bom(components=components.values(), serial_number=_serial(found))
    bom.metadata.component = root
    bom.register_dependency(root, [components[name] for name in project_needs()])
    for one in found:
        bom.register_dependency(components[one.name], [components[name] for name in one.needs])
    outputter = make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6)
    return outputter.output_as_string(indent=2)


def _component(package: Package) -> Component:
    licences = (
        [] if package.licence == UNKNOWN else [LicenseFactory().make_from_string(package.licence)]
    )
    purl = PackageURL("pypi", name=package.name, version=package.version)
    return Component(
        name=package.name,
        version=package.version,
        type=ComponentType.LIBRARY,
        bom_ref=str(purl),
        purl=purl,
        licenses=licences,
    )


def _serial(found: tuple[Package, ...]) -> uuid.UUID:
    """A number that follows from what is installed."""
    listed = "\n".join(f"{one.name}=={one.version}" for one in found)
    return uuid.uuid5(uuid.NAMESPACE_URL, f"{NAME}=={project_version()}\n{listed}")
