"""Changes the encoder while it serves, to the one that the catalog makes active; knows no route.

New sources are embedded under every encoder that the catalog registers, so those are loaded too. A
background that an operator has extended is taken up in the same way, under the same encoder.

The index and the null of the next encoder are made aside, in this thread, while the present one
answers. Then one reference is replaced. Whoever took the old one keeps it: its index goes on
following the catalog until nobody holds it, and only then are its threads ended.
"""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.encoders.lease import HeldLease
from app.encoders.live import Live, Serving, begin_serving
from app.encoders.retired import Retired
from app.inference.activities import Activities
from app.inference.embedder import Embedder
from app.inference.turns import Turns
from app.settings import Settings
from app.telemetry.metrics import Metrics
from attribution.calibration import null_id
from attribution.catalog import Catalog, RegisteredEncoder, Registry
from attribution.opening.background import Stamp, extension_stamp, load_whole_background
from attribution.opening.load import EncoderUnavailable, Vision, load_registered, place_for
from attribution.opening.roles import is_published
from models.background import Background
from models.checkpoints import BadCheckpoint
from models.encoder import Encoder

logger = logging.getLogger(__name__)

_RETRY_SECONDS = 30.0  # until an encoder that could not be loaded is tried again
_LONGEST_PAUSE_SECONDS = 30.0
_UNKNOWN: Stamp = ()  # of no file


class NotCalibrated(RuntimeError):
    """The null of the next encoder could not be made; the log says why."""

    def __init__(self, model_id: str) -> None:
        super().__init__(f"encoder {model_id} is active but could not be calibrated")


@dataclass(frozen=True, slots=True, eq=False)
class _Taken:
    """The background that an encoder serves with, and the file of added images it was made with."""

    background: Background | None
    stamp: Stamp | None


class Switch:
    """Holds what serves now, and a thread that looks into the catalog for what should."""

    def __init__(
        self,
        settings: Settings,
        catalog: Catalog,
        vision: Vision,
        *,
        metrics: Metrics,
        activities: Activities,
        lease: HeldLease | None = None,
    ) -> None:
        """Begin to serve with this encoder; `start` begins to look for another.

        With a lease the index is written as long as that is held, and else only read.
        """
        self._settings, self._catalog, self._lease = settings, catalog, lease
        self._metrics, self._activities, self._turns = metrics, activities, Turns()
        embedder = self._begin_embedding(vision.encoder)
        try:
            self._live = Live(self._begin_serving(embedder, vision.background))
        except BaseException:
            embedder.close()
            raise
        # A file that is there now may be newer than what was loaded before.
        there = extension_stamp(settings.data, vision.encoder.model_id) is not None
        taken = _Taken(vision.background, _UNKNOWN if there else None)
        self._backgrounds = {vision.encoder.model_id: taken}  # by encoder
        self._turn = threading.Lock()  # one thread at a time replaces the reference
        self._retry_at: dict[RegisteredEncoder, float] = {}
        self._past: list[weakref.ref[Live]] = []
        self._retired: list[Retired] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="encoder-switch", daemon=True)

    def live(self) -> Live:
        """What serves now. Ask once and keep it, for as long as one piece of work takes."""
        return self._live

    def bring_to(self, generation: int, timeout: float) -> bool:
        """Bring the present index to a generation; False where that takes too long."""
        return self._live.serving.follower.wait_for(generation, timeout)

    def start(self) -> None:
        """Load what the catalog registers, then look from a thread for what it says next."""
        self.load()
        self._thread.start()

    def close(self) -> None:
        """End every thread, after what is under way."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        live = self._live
        for embedder in (live.serving.embedder, *live.companions.values()):
            embedder.close()
        live.serving.stop()
        for retired in self._retired:
            retired.close()

    def load(self) -> Registry:
        """Load the encoders that were registered since the last look, forget those dropped.

        One that cannot be loaded is told of in `Live.failures` and tried again later; sources
        are added without its row meanwhile.
        """
        with self._turn:
            registry = self._catalog.encoders.registry()
            now = self._live
            companions: dict[str, Embedder] = {}
            failures: dict[str, str] = {}
            for encoder in registry.encoders:
                if encoder.model_id == now.serving.model_id:
                    continue
                held = now.companions.get(encoder.model_id)
                try:
                    companions[encoder.model_id] = held or self._load(encoder)
                except EncoderUnavailable as error:
                    failures[encoder.model_id] = str(error)
                except _TooSoon:
                    failures[encoder.model_id] = now.failures.get(encoder.model_id, "")
            if companions.keys() != now.companions.keys() or failures != now.failures:
                dropped = now.companions.keys() - companions.keys()
                closing = [now.companions[model_id].close for model_id in dropped]
                self._publish(Live(now.serving, companions, failures), closing)
            return registry

    def follow(self) -> None:
        """Look into the catalog once, and change to the encoder that it has made active.

        Also mend what serves, where something of it has failed.
        """
        registry, live = self.load(), self._live
        active = registry.active or live.serving.model_id
        embedder, taken = live.companions.get(active), self._backgrounds.get(active)
        if live.serving.publisher is not None:
            live.serving.publisher.tend()
        if active == live.serving.model_id:
            self._follow_lease(live.serving)
            self._follow_background(self._live.serving, registry)
        elif embedder is not None and taken is not None:
            self._change_to(embedder, taken.background)
        self._live.serving.mend()  # last: what cannot be mended may have been replaced

    def _follow_lease(self, serving: Serving) -> None:
        """Write the index from now on, leave it to whoever writes it now, or fill it again.

        A lease that has merely ended is had again: nothing is written meanwhile.
        """
        if self._lease is None:
            return
        if serving.writes:
            changed = serving.lost or self._lease.taken_by_another
        else:
            changed = self._lease.held()
        if changed and self._change_to(
            serving.embedder, self._backgrounds[serving.model_id].background
        ):
            writes = self._live.serving.writes
            logger.info("from now on the index is %s", "written" if writes else "read")

    def _follow_background(self, serving: Serving, registry: Registry) -> None:
        """Serve by the same encoder with the background that now lies in the data folder."""
        model_id, taken = serving.model_id, self._backgrounds[serving.model_id]
        stamp = extension_stamp(self._settings.data, model_id)
        if stamp == taken.stamp:
            return
        registered = registry.find(model_id)
        named = self._settings if registered is None else place_for(self._settings, registered)
        try:
            background = load_whole_background(named, serving.encoder)
        except BadCheckpoint as error:
            logger.warning("the background stays as it is: %s", error)
            self._backgrounds[model_id] = _Taken(taken.background, stamp)
            return
        unchanged = serving.calibration.id == (background and null_id(background))
        if unchanged or self._change_to(serving.embedder, background):
            self._backgrounds[model_id] = _Taken(background, stamp)

    def _load(self, encoder: RegisteredEncoder) -> Embedder:
        if self._retry_at.get(encoder, 0.0) > time.monotonic():
            raise _TooSoon
        stamp = extension_stamp(self._settings.data, encoder.model_id)
        try:
            loaded = load_registered(self._settings, encoder)
        except EncoderUnavailable as error:
            self._retry_at[encoder] = time.monotonic() + _RETRY_SECONDS
            logger.warning("%s", error)
            raise
        self._retry_at.pop(encoder, None)
        logger.info("loaded encoder %s: new sources are embedded under it too", encoder.model_id)
        self._backgrounds[encoder.model_id] = _Taken(loaded.background, stamp)
        return self._begin_embedding(loaded.encoder)

    def _begin_embedding(self, encoder: Encoder) -> Embedder:
        return Embedder(encoder, self._settings, self._metrics, self._activities, self._turns)

    def _begin_serving(self, embedder: Embedder, background: Background | None) -> Serving:
        return begin_serving(self._settings, self._catalog, embedder, background, self._lease)

    def _change_to(self, embedder: Embedder, background: Background | None) -> bool:
        if not self._may_begin(Vision(embedder.encoder, background)):
            return False
        logger.info("making the index and the null of encoder %s", embedder.encoder.model_id)
        following = self._begin_serving(embedder, background)
        changed = False
        try:
            following.calibrating.join()
            changed = not self._stopping.is_set() and self._replace(following)
        finally:
            if not changed:
                following.stop()
        return changed

    def _may_begin(self, vision: Vision) -> bool:
        """False for a process that only reads, until whoever writes has published this index."""
        if self._settings.index_url is None or (self._lease is not None and self._lease.held()):
            return True
        return is_published(self._catalog, vision, self._live.serving.index.generation)

    def _replace(self, following: Serving) -> bool:
        """Make `following` current; False where the catalog has thought better of it meanwhile."""
        if following.calibration.current().state.state == "building":
            raise NotCalibrated(following.model_id)
        with self._turn:
            now, registry = self._live, self._catalog.encoders.registry()
            another = now.serving.model_id != following.model_id
            if another and registry.active != following.model_id:
                return False
            companions = dict(now.companions)
            companions.pop(following.model_id, None)
            closing = [now.serving.stop]
            if another and registry.find(now.serving.model_id) is None:
                closing.append(now.serving.embedder.close)
            elif another:
                companions[now.serving.model_id] = now.serving.embedder
            # Held still, so that no answer can be of an earlier generation than one before it.
            with now.serving.follower.hold():
                following.follower.catch_up()
                if following.index.generation < now.serving.index.generation:
                    return False
                if not another and now.serving.publisher is not None:
                    now.serving.publisher.end()  # its index is followed on, as long as it is used
                self._publish(Live(following, companions, now.failures), closing)
                if following.publisher is not None:
                    following.publisher.due()
        logger.info("encoder %s serves", following.model_id)
        return True

    def _publish(self, live: Live, closing: Sequence[Callable[[], None]]) -> None:
        self._past = [past for past in self._past if past() is not None]
        self._past.append(weakref.ref(self._live))
        self._live = live
        for gone in self._backgrounds.keys() - {live.serving.model_id, *live.companions}:
            del self._backgrounds[gone]
        if closing:
            self._retired.append(Retired(tuple(self._past), closing))

    def _sweep(self) -> None:
        """Close what nobody uses any more."""
        for retired in [entry for entry in self._retired if entry.unused]:
            self._retired.remove(retired)
            retired.close()

    def _work(self) -> None:
        pause, longest = self._settings.follow_seconds, _LONGEST_PAUSE_SECONDS
        if self._lease is not None:  # nobody else takes up what this one fails to
            longest = max(pause, min(longest, self._settings.lease_seconds))
        while not self._stopping.wait(pause):
            try:
                self.follow()
                self._sweep()
                pause = self._settings.follow_seconds
            except Exception:
                # What serves goes on; whatever broke may pass.
                pause = min(longest, 2 * pause)
                logger.exception("could not tend what serves; trying again in %.1f s", pause)


class _TooSoon(Exception):
    """The encoder could not be loaded a moment ago."""
