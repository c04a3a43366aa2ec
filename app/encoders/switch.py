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
from dataclasses import dataclass, replace

from app.encoders.background import Stamp, extension_stamp, load_whole_background
from app.encoders.gallery import Vision
from app.encoders.live import Current, Serving, Sight, begin_serving, begin_sight
from app.encoders.load import EncoderUnavailable, load_registered, settings_for
from app.inference.activities import Activities
from app.settings import Settings
from app.telemetry.metrics import Metrics
from attribution.calibration import background_id
from attribution.catalog import Catalog, RegisteredEncoder, Registry
from models.checkpoints import BadCheckpoint

logger = logging.getLogger(__name__)

_RETRY_SECONDS = 30.0  # until an encoder that could not be loaded is tried again
_LONGEST_PAUSE_SECONDS = 30.0
_UNKNOWN: Stamp = ()  # of no file


class NotCalibrated(RuntimeError):
    """The null of the next encoder could not be made; the log says why."""

    def __init__(self, model_id: str) -> None:
        super().__init__(f"encoder {model_id} is active but could not be calibrated")


@dataclass(frozen=True, slots=True, eq=False)
class _Retired:
    """What to close once nobody is left who may use it."""

    users: tuple[weakref.ref[Current], ...]
    closing: Sequence[Callable[[], None]]

    @property
    def unused(self) -> bool:
        return all(user() is None for user in self.users)

    def close(self) -> None:
        for close in self.closing:
            close()


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
    ) -> None:
        """Begin to serve with this encoder; `start` begins to look for another."""
        self._settings, self._catalog = settings, catalog
        self._metrics, self._activities = metrics, activities
        sight = self._begin_sight(vision)
        try:
            self._current = Current(begin_serving(settings, catalog, sight, metrics))
        except BaseException:
            sight.embedder.close()
            raise
        # By encoder, the file of added background images that it was loaded with. One that is
        # there now may be newer than what was loaded before.
        self._backgrounds: dict[str, Stamp | None] = {}
        if extension_stamp(settings.data, vision.encoder.model_id) is not None:
            self._backgrounds[vision.encoder.model_id] = _UNKNOWN
        self._turn = threading.Lock()  # one thread at a time replaces the reference
        self._retry_at: dict[RegisteredEncoder, float] = {}
        self._past: list[weakref.ref[Current]] = []
        self._retired: list[_Retired] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="encoder-switch", daemon=True)

    def current(self) -> Current:
        """What serves now. Ask once and keep it, for as long as one piece of work takes."""
        return self._current

    def reach(self, generation: int, timeout: float) -> bool:
        """Bring the present index to a generation; False where that takes too long."""
        return self._current.serving.follower.wait_for(generation, timeout)

    def start(self) -> None:
        """Load what the catalog registers, then look from a thread for what it says next."""
        self.load()
        self._thread.start()

    def close(self) -> None:
        """End every thread, after what is under way."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        current = self._current
        for sight in (current.serving.sight, *current.companions.values()):
            sight.embedder.close()
        current.serving.stop()
        for retired in self._retired:
            retired.close()

    def load(self) -> Registry:
        """Load the encoders that were registered since the last look, forget those dropped.

        One that cannot be loaded is told of in `Current.failures` and tried again later; sources
        are added without its row meanwhile.
        """
        with self._turn:
            registry = self._catalog.encoders.registry()
            now = self._current
            companions: dict[str, Sight] = {}
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
            dropped = [
                sight.embedder.close
                for model_id, sight in now.companions.items()
                if model_id not in companions
            ]
            if companions.keys() != now.companions.keys() or failures != now.failures:
                self._publish(Current(now.serving, companions, failures), dropped)
            return registry

    def follow(self) -> None:
        """Look into the catalog once, and change to the encoder that it has made active."""
        registry, current = self.load(), self._current
        if registry.active in (None, current.serving.model_id):
            self._follow_background(current.serving, registry)
        elif registry.active in current.companions:
            self._change_to(current.companions[registry.active])

    def _follow_background(self, serving: Serving, registry: Registry) -> None:
        """Serve by the same encoder with the background that now lies in the data folder."""
        model_id, encoder = serving.model_id, serving.sight.vision.encoder
        stamp = extension_stamp(self._settings.data, model_id)
        if stamp == self._backgrounds.get(model_id):
            return
        registered = registry.find(model_id)
        named = self._settings if registered is None else settings_for(self._settings, registered)
        try:
            background = load_whole_background(named, encoder)
        except BadCheckpoint as error:
            logger.warning("the background stays as it is: %s", error)
            self._backgrounds[model_id] = stamp
            return
        unchanged = serving.calibration.id == (background and background_id(background))
        sight = replace(serving.sight, vision=Vision(encoder, background))
        if unchanged or self._change_to(sight):
            self._backgrounds[model_id] = stamp

    def _load(self, encoder: RegisteredEncoder) -> Sight:
        if self._retry_at.get(encoder, 0.0) > time.monotonic():
            raise _TooSoon
        self._backgrounds[encoder.model_id] = extension_stamp(self._settings.data, encoder.model_id)
        try:
            vision = Vision(*load_registered(self._settings, encoder))
        except EncoderUnavailable as error:
            self._retry_at[encoder] = time.monotonic() + _RETRY_SECONDS
            logger.warning("%s", error)
            raise
        self._retry_at.pop(encoder, None)
        logger.info("loaded encoder %s: new sources are embedded under it too", encoder.model_id)
        return self._begin_sight(vision)

    def _begin_sight(self, vision: Vision) -> Sight:
        return begin_sight(self._settings, vision, self._metrics, self._activities)

    def _change_to(self, sight: Sight) -> bool:
        logger.info("making the index and the null of encoder %s", sight.model_id)
        following = begin_serving(self._settings, self._catalog, sight, self._metrics)
        changed = False
        try:
            following.calibrating.join()
            changed = not self._stopping.is_set() and self._replace(following)
        finally:
            if not changed:
                following.stop()
        return changed

    def _replace(self, following: Serving) -> bool:
        """Make `following` current; False where the catalog has thought better of it meanwhile."""
        if following.calibration.current().state.state == "building":
            raise NotCalibrated(following.model_id)
        with self._turn:
            now, registry = self._current, self._catalog.encoders.registry()
            another = now.serving.model_id != following.model_id
            if another and registry.active != following.model_id:
                return False
            companions = {
                model_id: sight
                for model_id, sight in now.companions.items()
                if model_id != following.model_id
            }
            closing = [now.serving.stop]
            if another and registry.find(now.serving.model_id) is None:
                closing.append(now.serving.sight.embedder.close)
            elif another:
                companions[now.serving.model_id] = now.serving.sight
            # Held still, so that no answer can be of an earlier generation than one before it.
            with now.serving.follower.hold():
                following.follower.catch_up()
                self._publish(Current(following, companions, now.failures), closing)
        logger.info("encoder %s serves", following.model_id)
        return True

    def _publish(self, current: Current, closing: Sequence[Callable[[], None]]) -> None:
        self._past = [past for past in self._past if past() is not None]
        self._past.append(weakref.ref(self._current))
        self._current = current
        if closing:
            self._retired.append(_Retired(tuple(self._past), closing))

    def _sweep(self) -> None:
        """Close what nobody uses any more."""
        for retired in [entry for entry in self._retired if entry.unused]:
            self._retired.remove(retired)
            retired.close()

    def _work(self) -> None:
        pause = self._settings.follow_seconds
        while not self._stopping.wait(pause):
            try:
                self.follow()
                self._sweep()
                pause = self._settings.follow_seconds
            except Exception:
                # What serves goes on; whatever broke may pass.
                pause = min(_LONGEST_PAUSE_SECONDS, 2 * pause)
                logger.exception("could not change the encoder; trying again in %.1f s", pause)


class _TooSoon(Exception):
    """The encoder could not be loaded a moment ago."""
