"""Image-level labels and splits, per source of labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

from annotations.errors import StoreError
from annotations.findings import check_finding
from annotations.store.connection import Connections
from annotations.store.images import find_image
from annotations.store.vocabulary import Vocabulary

Split = Literal["train", "validation", "test"]


class Labels:
    """What is said of whole images: for training and for the reference of classification."""

    def __init__(self, connections: Connections, vocabulary: Vocabulary) -> None:
        self._connections = connections
        self._vocabulary = vocabulary

    def set(self, image_id: str, source: str, values: Mapping[str, bool]) -> None:
        """Make these the labels of the image in this source of labels, instead of earlier ones.

        Raises:
            UnknownRecord: If there is no such image.
            UnknownFinding: If a label is no finding of the workspace.
        """
        known = self._vocabulary.findings()
        rows = [
            (image_id, source, check_finding(finding, known), int(bool(value)))
            for finding, value in values.items()
        ]
        with self._connections.write() as connection:
            find_image(connection, image_id)
            connection.execute(
                "DELETE FROM labels WHERE image_id = ? AND source = ?", (image_id, source)
            )
            connection.executemany("INSERT INTO labels VALUES (?, ?, ?, ?)", rows)

    def all(self, source: str) -> dict[str, dict[str, bool]]:
        """For each labelled image, in the order of the images, its labels in the known order."""
        with self._connections.read() as connection:
            rows = connection.execute(
                "SELECT image_id, finding, value FROM labels JOIN images USING (image_id) "
                "WHERE labels.source = ? ORDER BY images.seq",
                (source,),
            ).fetchall()
        labels: dict[str, dict[str, bool]] = {}
        for row in rows:
            labels.setdefault(row["image_id"], {})[row["finding"]] = bool(row["value"])
        known = self._vocabulary.findings()
        return {
            image_id: {finding: values[finding] for finding in known if finding in values}
            for image_id, values in labels.items()
        }

    def sources(self) -> list[str]:
        """The names under which labels are kept."""
        with self._connections.read() as connection:
            rows = connection.execute("SELECT DISTINCT source FROM labels ORDER BY source")
            return [row[0] for row in rows]

    def projects(self) -> list[str]:
        """The named selections of images: kept as splits of their own, without labels."""
        with self._connections.read() as connection:
            rows = connection.execute(
                "SELECT source FROM (SELECT DISTINCT source FROM splits) AS named WHERE NOT EXISTS "
                "(SELECT 1 FROM labels WHERE labels.source = named.source) ORDER BY source"
            )
            return [row[0] for row in rows]

    def set_split(self, image_id: str, source: str, split: Split) -> None:
        """Put the image into a part of this source's split.

        Raises:
            UnknownRecord: If there is no such image.
            StoreError: If the part has another name than the three.
        """
        if split not in get_args(Split):
            raise StoreError(f"unknown split '{split}'; known: {', '.join(get_args(Split))}")
        with self._connections.write() as connection:
            find_image(connection, image_id)
            connection.execute(
                "INSERT INTO splits VALUES (?, ?, ?) "
                "ON CONFLICT (image_id, source) DO UPDATE SET split = excluded.split",
                (image_id, source, split),
            )

    def splits(self, source: str) -> dict[str, Split]:
        """For each image in the split of this source, its part."""
        with self._connections.read() as connection:
            rows = connection.execute(
                "SELECT image_id, split FROM splits JOIN images USING (image_id) "
                "WHERE splits.source = ? ORDER BY images.seq",
                (source,),
            )
            return {row["image_id"]: row["split"] for row in rows}
