"""What a service would serve: catalog, keys, encoder and engine, and what decisions rest on."""

from __future__ import annotations

from collections.abc import Iterator

from app.access.first_key import Unguarded
from app.cli.doctor.check import Check
from app.cli.failures import is_expected
from app.cli.wording import GIVES_ONE
from app.reports import check_reports
from app.settings import Settings
from attribution.calibration.shares.newest import NewestShares, default_shares
from attribution.catalog import Catalog, CatalogMissing, CatalogUnusable
from attribution.catalog.preparing import look_at
from attribution.opening.engines import in_words
from attribution.opening.load import Vision, active_place, load_vision


def holdings(settings: Settings) -> Iterator[Check]:
    """Catalog, keys, encoder, calibration and reports, as far as one can be looked at at all."""
    try:
        with Catalog.existing(settings.data, url=settings.database_url) as catalog:
            yield _sources(catalog)
            yield _keys(settings, catalog)
            yield from _encoder(active_place(settings, catalog), catalog)
    except CatalogMissing:
        yield _none_yet(settings)
        yield _keys(settings, None)
        yield from _encoder(settings, None)
    except Exception as error:
        if not is_expected(error):
            raise
        yield Check("catalog", "problem", str(error), "`attribution verify` looks closer")
    yield _reports(settings)


def _none_yet(settings: Settings) -> Check:
    """No folder, or no catalog in it: its database may be elsewhere, and out of reach."""
    if settings.database_url is not None:
        try:
            look_at(settings.database_url)
        except CatalogUnusable as error:
            return Check("catalog", "problem", str(error), "docs/operations.md, PostgreSQL")
    return Check("catalog", "note", "there is none yet", "`attribution ingest PHOTOGRAPHS`")


def _sources(catalog: Catalog) -> Check:
    collections = catalog.collections()
    held = sum(each.sources for each in collections)
    found = f"{held:,} sources in {len(collections)} collections, at {catalog.generation():,}"
    if held == 0:
        return Check("catalog", "note", found, "`attribution ingest PHOTOGRAPHS` adds some")
    return Check("catalog", "ok", found)


def _keys(settings: Settings, catalog: Catalog | None) -> Check:
    keys = () if catalog is None else catalog.keys.every()
    if keys:
        valid = sum(each.state == "active" for each in keys)
        if not valid:
            return Check(
                "keys", "note", f"none of {len(keys)} is valid any more: nobody may call",
                "`attribution keys create NAME --scope admin`",
            )  # fmt: skip
        return Check("keys", "ok", f"{valid} of {len(keys)} are valid")
    if settings.local_only:
        return Check("keys", "ok", "none: only programs of this machine may call")
    if settings.admin_key_file is not None:
        return Check("keys", "ok", f"the first start writes one to {settings.admin_key_file}")
    if settings.unguarded:
        return Check(
            "keys", "note", f"none, and {settings.host} can be reached: everybody may do all",
            "`attribution keys create NAME --scope admin`",
        )  # fmt: skip
    return Check("keys", "problem", str(Unguarded(settings.host)), "`attribution keys create NAME`")


def _encoder(settings: Settings, catalog: Catalog | None) -> Iterator[Check]:
    try:
        vision = load_vision(settings)
    except Exception as error:
        if not is_expected(error):
            raise
        yield Check("encoder", "problem", str(error), "see above, or choose another: --encoder")
        return
    encoder = vision.encoder
    yield Check("encoder", "ok", f"{settings.encoder} ({encoder.model_id}) on {encoder.device}")
    yield Check("engine", "ok", in_words(encoder.choice))
    if catalog is not None:
        yield from _covered(encoder.model_id, catalog)
    yield _calibration(vision, catalog)


def _covered(model_id: str, catalog: Catalog) -> Iterator[Check]:
    coverage = catalog.encoders.coverage(model_id)
    if not coverage.full:
        yield Check(
            "embeddings", "note",
            f"{coverage.embedded:,} of {coverage.sources:,} sources can be found by this encoder",
            "`attribution reembed` with it, or name the encoder that they were added with",
        )  # fmt: skip


def _calibration(vision: Vision, catalog: Catalog | None) -> Check:
    background, encoder = vision.background, vision.encoder
    if background is None:
        return Check(
            "calibration", "note", "no background: images are ranked, none decided", GIVES_ONE
        )
    shares = default_shares(encoder.card)
    if catalog is not None:
        shares = NewestShares(catalog, encoder.model_id, shares).current()
    found = f"decisions rest on {len(background):,} images"
    if shares.fitted_at is None:
        return Check(
            "calibration", "note", f"{found}; shares are the encoder's default",
            "`attribution calibrate` fits them to your sources",
        )  # fmt: skip
    return Check("calibration", "ok", f"{found}; shares were fitted {shares.fitted_at:%Y-%m-%d}")


def _reports(settings: Settings) -> Check:
    try:
        check_reports(settings)
    except Exception as error:
        if not is_expected(error):
            raise
        return Check(
            "reports", "problem", str(error), "mend or unset it: a start is refused with it"
        )
    signed = "signed" if settings.signing_key is not None else "not signed: no key is set"
    return Check("reports", "ok", signed)
