"""The tables and their indexes."""

from __future__ import annotations

from typing import Final

APPLICATION_ID: Final = 0x53414155  # "SAAU": marks the file as ours
SCHEMA_VERSION: Final = 3  # how many migrations there are; kept as user_version
FIRST_HASH: Final = "0" * 64

TABLES: Final[tuple[str, ...]] = (
    """CREATE TABLE patients (
        patient_hash TEXT PRIMARY KEY,  -- keyed hash; '' stands for "not known"
        added_at TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE studies (
        study_hash TEXT NOT NULL,
        patient_hash TEXT NOT NULL REFERENCES patients (patient_hash),
        added_at TEXT NOT NULL,
        PRIMARY KEY (study_hash, patient_hash)
    ) STRICT""",
    """CREATE TABLE images (
        seq INTEGER PRIMARY KEY,
        image_id TEXT NOT NULL UNIQUE,
        path TEXT NOT NULL,
        origin TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL,
        name_key TEXT NOT NULL,  -- casefolded, for the search
        source TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        pixel_sha256 TEXT NOT NULL,
        height INTEGER NOT NULL CHECK (height > 0),
        width INTEGER NOT NULL CHECK (width > 0),
        bits INTEGER NOT NULL CHECK (bits BETWEEN 1 AND 16),
        photometric TEXT NOT NULL,
        modality TEXT NOT NULL,
        view TEXT NOT NULL,
        spacing_row_mm REAL,
        spacing_column_mm REAL,
        patient_hash TEXT NOT NULL REFERENCES patients (patient_hash),
        study_hash TEXT NOT NULL,
        flags TEXT NOT NULL,
        facts TEXT NOT NULL,
        history TEXT NOT NULL,
        report TEXT NOT NULL,
        added_at TEXT NOT NULL,
        FOREIGN KEY (study_hash, patient_hash) REFERENCES studies (study_hash, patient_hash)
    ) STRICT""",
    "CREATE INDEX images_by_source ON images (source, seq, name_key, image_id)",
    "CREATE INDEX images_by_patient ON images (patient_hash)",
    "CREATE INDEX images_by_study ON images (study_hash, patient_hash)",
    "CREATE INDEX images_in_order ON images (seq, source, name_key, image_id)",
    """CREATE TABLE extra_findings (
        position INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE
    ) STRICT""",
    """CREATE TABLE labels (
        image_id TEXT NOT NULL REFERENCES images (image_id),
        source TEXT NOT NULL,
        finding TEXT NOT NULL,
        value INTEGER NOT NULL CHECK (value IN (0, 1)),
        PRIMARY KEY (image_id, source, finding)
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX labels_by_source ON labels (source, image_id)",
    """CREATE TABLE splits (
        image_id TEXT NOT NULL REFERENCES images (image_id),
        source TEXT NOT NULL,
        split TEXT NOT NULL CHECK (split IN ('train', 'validation', 'test')),
        PRIMARY KEY (image_id, source)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE readers (
        name TEXT PRIMARY KEY CHECK (name <> ''),
        kind TEXT NOT NULL CHECK (kind IN ('person', 'imported', 'synthetic')),
        added_at TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE readings (
        reading_id TEXT PRIMARY KEY,
        image_id TEXT NOT NULL REFERENCES images (image_id),
        reader TEXT NOT NULL REFERENCES readers (name),
        status TEXT NOT NULL CHECK (status IN ('draft', 'committed', 'revised')),
        version INTEGER NOT NULL CHECK (version >= 0),
        is_open INTEGER NOT NULL CHECK (is_open IN (0, 1)),
        no_finding INTEGER NOT NULL CHECK (no_finding IN (0, 1)),
        commits INTEGER NOT NULL CHECK (commits >= 0),
        imported INTEGER NOT NULL CHECK (imported IN (0, 1)),
        revealed_at TEXT,
        updated_at TEXT NOT NULL,
        UNIQUE (image_id, reader)
    ) STRICT""",
    "CREATE INDEX readings_by_reader ON readings (reader, status, image_id)",
    """CREATE TABLE regions (
        seq INTEGER PRIMARY KEY,
        reading_id TEXT NOT NULL REFERENCES readings (reading_id),
        region_id TEXT NOT NULL,
        finding TEXT NOT NULL,
        certainty TEXT NOT NULL CHECK (certainty IN ('definite', 'probable', 'possible')),
        x_min INTEGER NOT NULL CHECK (x_min >= 0),
        y_min INTEGER NOT NULL CHECK (y_min >= 0),
        x_max INTEGER NOT NULL CHECK (x_max > x_min),
        y_max INTEGER NOT NULL CHECK (y_max > y_min),
        note TEXT NOT NULL,
        version INTEGER NOT NULL,  -- the reading's version that wrote it last
        updated_at TEXT NOT NULL,
        UNIQUE (reading_id, region_id)
    ) STRICT""",
    "CREATE INDEX regions_by_finding ON regions (finding, reading_id)",
    """CREATE TABLE commits (
        reading_id TEXT NOT NULL REFERENCES readings (reading_id),
        commit_number INTEGER NOT NULL CHECK (commit_number >= 1),
        version INTEGER NOT NULL,
        committed_at TEXT NOT NULL,
        blinded INTEGER NOT NULL CHECK (blinded IN (0, 1)),
        imported INTEGER NOT NULL CHECK (imported IN (0, 1)),
        no_finding INTEGER NOT NULL CHECK (no_finding IN (0, 1)),
        n_regions INTEGER NOT NULL CHECK (n_regions >= 0),
        content_sha256 TEXT NOT NULL,
        PRIMARY KEY (reading_id, commit_number)
    ) STRICT""",
    """CREATE TABLE commit_regions (
        reading_id TEXT NOT NULL,
        commit_number INTEGER NOT NULL,
        position INTEGER NOT NULL,
        region_id TEXT NOT NULL,
        finding TEXT NOT NULL,
        certainty TEXT NOT NULL CHECK (certainty IN ('definite', 'probable', 'possible')),
        x_min INTEGER NOT NULL CHECK (x_min >= 0),
        y_min INTEGER NOT NULL CHECK (y_min >= 0),
        x_max INTEGER NOT NULL CHECK (x_max > x_min),
        y_max INTEGER NOT NULL CHECK (y_max > y_min),
        note TEXT NOT NULL,
        PRIMARY KEY (reading_id, commit_number, position),
        FOREIGN KEY (reading_id, commit_number) REFERENCES commits (reading_id, commit_number)
    ) STRICT""",
    "CREATE INDEX commit_regions_by_finding ON commit_regions (finding, reading_id, commit_number)",
    """CREATE TABLE log (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        at TEXT NOT NULL,
        kind TEXT NOT NULL,
        actor TEXT NOT NULL,
        subject TEXT NOT NULL,
        image_id TEXT NOT NULL,
        client_id TEXT NOT NULL,
        sequence INTEGER NOT NULL,
        details TEXT NOT NULL,
        previous_hash TEXT NOT NULL,
        hash TEXT NOT NULL
    ) STRICT""",
    "CREATE INDEX log_by_image ON log (image_id, seq)",
    "CREATE INDEX log_by_subject ON log (subject, kind)",
    """CREATE UNIQUE INDEX log_once_per_edit ON log (actor, client_id, sequence)
        WHERE client_id <> ''""",
    """CREATE TABLE models (
        name TEXT PRIMARY KEY CHECK (name <> ''),
        entry TEXT NOT NULL,
        saved_at TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE jobs (
        job_id INTEGER PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL,
        params TEXT NOT NULL,
        owner TEXT NOT NULL,
        status TEXT NOT NULL CHECK (
            status IN ('queued', 'running', 'done', 'failed', 'cancelled', 'interrupted')),
        done INTEGER NOT NULL,
        total INTEGER NOT NULL,
        message TEXT NOT NULL,
        result TEXT NOT NULL,
        created_at TEXT NOT NULL,
        started_at TEXT,
        finished_at TEXT,
        cancel_requested INTEGER NOT NULL CHECK (cancel_requested IN (0, 1)),
        pid INTEGER,
        pid_started REAL
    ) STRICT""",
    "CREATE INDEX jobs_by_status ON jobs (status, job_id)",
    """CREATE TABLE worker (
        only INTEGER PRIMARY KEY CHECK (only = 1),
        pid INTEGER NOT NULL,
        pid_started REAL NOT NULL,
        seen_at TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE audit_runs (
        seq INTEGER PRIMARY KEY,
        run_id TEXT NOT NULL UNIQUE,
        created_at TEXT NOT NULL,
        owner TEXT NOT NULL,
        status TEXT NOT NULL CHECK (status IN ('running', 'done', 'failed', 'cancelled')),
        choices TEXT NOT NULL,
        summary TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE audit_rows (
        seq INTEGER PRIMARY KEY,
        run_id TEXT NOT NULL REFERENCES audit_runs (run_id),
        row TEXT NOT NULL
    ) STRICT""",
    "CREATE INDEX audit_rows_by_run ON audit_rows (run_id, seq)",
    """CREATE TABLE accounts (
        name TEXT PRIMARY KEY CHECK (name <> ''),
        role TEXT NOT NULL CHECK (role IN ('reader', 'auditor', 'admin')),
        password_hash TEXT NOT NULL,
        disabled INTEGER NOT NULL CHECK (disabled IN (0, 1)),
        created_at TEXT NOT NULL
    ) STRICT""",
    "CREATE UNIQUE INDEX accounts_in_any_case ON accounts (lower(name))",
)
