"""Many requests at once: who may be read, what is read together, and who leaves.

::

    add ──> waiting ──a slot is free──> prefilling ──prompt read──> running ──ended──> its slot is free
                 prompts that begin alike      a part at a time        │
                 are read once                 beside those that run   └─ window full: prefilling again

A slot that was left still holds its text, and the next request that begins with it need not read it again.
"""

import time
from collections import deque
from collections.abc import Callable
from collections.abc import Sequence as Several
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from textwright.core.errors import InputError
from textwright.generation.decoding import Decoding, Read
from textwright.generation.prepare import Preparer
from textwright.generation.read_together import read_together
from textwright.generation.request import CANCELLED, DEADLINE, Completion, Request, SamplingConfig
from textwright.generation.scheduled import Scheduled
from textwright.generation.slots import FreeSlots, Held
from textwright.generation.speculative import Speculation
from textwright.generation.text_index import length_in_common
from textwright.models.protocols import Cache, Decoder
from textwright.tokens.tokenizer import Tokenizer

MAX_NUM_SEQS, MAX_NUM_SEQS_ON_A_CPU = 256, 128
"""Slots that are made by default, at most."""
KV_CACHE_BYTES = 2 << 30
"""About how much memory they may take then."""
MAX_PREFILL_TOKENS, IDLE_PREFILL_TOKENS = 512, 2048
"""Of prompts, read in one step beside those that run; and where none does, so that nobody waits."""
MIN_SHARED_TOKENS = 8
"""A shorter beginning is sooner read again than waited for and copied."""


@dataclass(frozen=True)
class Event:
    """Something has become known of a request."""

    request_id: int
    sample: int
    """Which of its completions."""
    text: str = ""
    """What is certain now: whole characters, and nothing of a stop string."""
    completion: Completion | None = None
    """The whole, once it has ended."""


class Scheduler:
    """Decodes requests side by side; each gets the text that it gets alone.

    Attributes:
        num_slots: texts that are decoded at once, at most; None before the first step where it was not given.
    """

    def __init__(
        self,
        decoder: Decoder,
        tokenizer: Tokenizer,
        *,
        num_slots: int | None = None,
        max_prefill_tokens: int = MAX_PREFILL_TOKENS,
        speculation: Speculation | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            decoder: a model, which computes in the precision that its weights are in, or an engine.
            tokenizer: the model's own.
            num_slots: None: as many as those that wait at the first step need, and as memory allows.
            max_prefill_tokens: of prompts read in one step; the fewer, the sooner those that run go on.
            speculation: have a drafter guess ahead; it counts what was accepted.
            clock: what deadlines are told by, in seconds.

        Raises:
            InputError: a tokenizer that is not the model's, or no slot.
        """
        if num_slots is not None and num_slots < 1:
            raise InputError(f"a scheduler of {num_slots} slots", expected="at least 1")
        self._decoder, self._clock, self._max_prefill_tokens = decoder, clock, max_prefill_tokens
        self._preparer = Preparer(decoder, tokenizer, speculation)
        self.num_slots = num_slots
        self._waiting, self._prefilling, self._running = deque[Scheduled](), list[Scheduled](), list[Scheduled]()
        self._cache: Cache | None = None
        self._free = FreeSlots(0, decoder.can_crop)
        self._events: list[Event] = []
        self._num_added = 0

    @property
    def has_work(self) -> bool:
        """Whether another step would do anything."""
        return bool(self._waiting or self._prefilling or self._running or self._events)

    def add(self, request: Request) -> int:
        """Take a request; returns its number, by which events name it.

        Raises:
            InputError: what cannot be asked of this model; see ``generate``. Others go on.
        """
        if request.deadline_s is not None and request.deadline_s <= self._clock():
            raise InputError("a deadline in the past", expected="a time by time.monotonic() that is to come")
        number = self._num_added
        prepared = self._preparer.prepare(request, lambda sample, text: self._tell(Event(number, sample, text)))
        for decoding in prepared.decodings:
            if self.num_slots is not None and decoding.num_slots > self.num_slots:
                raise InputError(
                    f"a search that follows {decoding.num_slots} texts, with {self.num_slots} slots",
                    fix="make a scheduler with more",
                )
        self._num_added += 1
        prepared.number = number
        for decoding in prepared.decodings:
            task = Scheduled(prepared, decoding)
            if decoding.is_open:
                self._waiting.append(task)
            else:  # a constraint can leave nothing to write
                self._report(task)
        return number

    def check(self, sampling: SamplingConfig) -> None:
        """See whether requests with these settings can be taken.

        Raises:
            InputError: a bias for what is no token, or a constraint that cannot be used.
        """
        self._preparer.settings(sampling)

    def cancel(self, request_id: int) -> None:
        """Give a request up: its texts end as they are, with ``abort``. One that has ended is left as it is.

        Raises:
            InputError: a number that ``add`` never returned.
        """
        if not 0 <= request_id < self._num_added:
            raise InputError(f"no request {request_id}", expected="a number that add returned")
        self._abort(lambda task: task.prepared.number == request_id, CANCELLED)

    def step(self, *, min_seconds: float = 0.0) -> list[Event]:
        """Read some of the prompts, choose a token of every text that runs, and tell what has become known.

        Args:
            min_seconds: go on for so long, as handing work to an engine's thread takes longer than a small model needs
                for a token. What a prompt begins with is told at once all the same.

        Raises:
            InputError: logits that are not finite. The scheduler is of no use after that, or after any other error.
        """
        self._decoder.run(partial(self._compute, self._clock() + min_seconds))
        events, self._events = self._events, []
        return events

    @torch.inference_mode()
    def _compute(self, until: float) -> None:
        while True:
            self._expire(self._clock())
            self._admit()
            ready, begun = self._read()
            self._advance(ready + begun)
            if begun or self._clock() >= until or not (self._waiting or self._prefilling or self._running):
                return

    # who joins and who leaves

    def _admit(self) -> None:
        if self._waiting and self._cache is None:
            self.num_slots = self._suitable_slots() if self.num_slots is None else self.num_slots
            self._cache = self._decoder.empty_cache(self.num_slots)
            self._free = FreeSlots(self.num_slots, self._decoder.can_crop)
        while self._waiting and self._waiting[0].decoding.num_slots <= len(self._free):
            task = self._waiting.popleft()
            decoding = task.decoding
            window = decoding.sequences[0].ids[decoding.next_start() :]
            wanted = None if decoding.keeps_hidden else self._held(task, window)
            slots, kept = self._free.take(decoding.num_slots, wanted)
            decoding.begin(slots, self.cache)
            if kept.num_tokens:
                decoding.base, task.num_read = kept.base, kept.num_tokens
                self._crop(task, kept.num_tokens)
            self._start_reading(task)

    @property
    def cache(self) -> Cache:
        """Where texts are held; made at the first step that has something to read."""
        assert self._cache is not None, "nothing was read yet"
        return self._cache

    def _crop(self, task: Scheduled, length: int) -> None:
        if self._decoder.can_crop:  # else it holds just so much
            self.cache.crop(task.slot, task.decoding.base + length)

    @staticmethod
    def _held(task: Scheduled, ids: Several[int]) -> Held:
        return Held(ids, task.prepared.source_key, task.decoding.base)

    def _suitable_slots(self) -> int:
        decodings = [task.decoding for task in self._waiting]
        most = MAX_NUM_SEQS_ON_A_CPU if self._decoder.device.type == "cpu" else MAX_NUM_SEQS
        longest = max(len(one.sequences[0].ids) + one.sequences[0].sampling.max_new_tokens for one in decodings)
        bytes_each = self._decoder.empty_cache(1).bytes_for(min(longest, self._decoder.context_length))
        largest = max(one.num_slots for one in decodings)
        affordable = KV_CACHE_BYTES // max(1, bytes_each)
        return max(largest, min(sum(one.num_slots for one in decodings), most, affordable))

    def _start_reading(self, task: Scheduled) -> None:
        """Have what the model sees of a text read into its slot, from the beginning or from what is there."""
        decoding = task.decoding
        if not task.num_read:
            task.decoding.base = self._clear(task)
        decoding.start = decoding.next_start()
        task.window = decoding.sequences[0].ids[decoding.start :]
        task.leader = self._find_leader(task)
        if task.leader is not None and task.leader[0] in self._running:
            self._follow(task, task.leader[1])
            task.leader = None
        self._prefilling.append(task)

    def _clear(self, task: Scheduled) -> int:
        """Have its slot hold what the text is about, and nothing else; returns how many tokens that takes."""
        source = task.prepared.source
        if source is None:
            self.cache.crop(task.slot, 0)
            return 0
        self.cache.put(task.slot, self._decoder.empty_cache(1, source))
        return self.cache.length(task.slot)

    def _find_leader(self, task: Scheduled) -> tuple[Scheduled, int] | None:
        """Who reads, or has read, most of what a client begins with; None where it is not worth it."""
        if task.decoding.keeps_hidden:
            return None
        best: tuple[Scheduled, int] | None = None
        window, least = task.window, max(task.num_read, MIN_SHARED_TOKENS - 1)
        beginning = window[:MIN_SHARED_TOKENS]
        for runs, others in ((True, self._running), (False, self._prefilling)):
            for other in others:
                if not other.may_share(beginning) or other.prepared.source_key != task.prepared.source_key:
                    continue
                held = other.held if runs else other.window
                if held[least : least + 1] != window[least : least + 1]:
                    continue  # no more is shared than with the best so far
                same = length_in_common(held, window)
                is_twin = not runs and same == len(held) == len(window)
                if not is_twin:
                    same = min(same, len(window) - 1)
                    usable = self._decoder.can_crop or (runs and same == len(held))
                    if not usable or same < MIN_SHARED_TOKENS:
                        continue
                if same > max(task.num_read, best[1] if best else 0) and not other.waits_for(task):
                    best, least = (other, same), max(least, same)
        return best

    def _abort(self, is_meant: Callable[[Scheduled], bool], reason: str) -> None:
        for tasks in (self._waiting, self._prefilling, self._running):
            for task in [task for task in tasks if is_meant(task)]:
                for sequence in task.decoding.sequences:
                    sequence.abort(reason)
                tasks.remove(task)
                if tasks is not self._waiting:
                    self._release(task)
                self._report(task)

    def _expire(self, now: float) -> None:
        self._abort(lambda task: task.prepared.deadline_s is not None and task.prepared.deadline_s <= now, DEADLINE)

    def _release(self, task: Scheduled) -> None:
        decoding = task.decoding
        is_prompt = task in self._prefilling or task.num_read < len(task.window)
        ids = task.window[: task.num_read] if is_prompt else task.held
        self._free.give_back(decoding.slots, self._held(task, ids))

    def _report(self, task: Scheduled) -> None:
        first = task.prepared.decodings.index(task.decoding)
        for place, sequence in enumerate(task.decoding.sequences):
            completion = sequence.completion(task.decoding.context_length)
            self._tell(Event(task.prepared.number, first + place, completion=completion))

    def _tell(self, event: Event) -> None:
        self._events.append(event)

    # what is read

    def _read(self) -> tuple[list[tuple[Scheduled, Tensor]], list[tuple[Scheduled, Tensor]]]:
        """Read what clients that run ask for, and parts of prompts that wait: the hidden states of each that runs, and
        the last of each whose prompt is read whole now."""
        steps = [(task, read) for task in self._running for read in task.decoding.reads()]
        parts = self._parts()
        found = (
            read_together(self._decoder, self.cache, [read for _, read in steps], [read for _, read in parts])
            if steps or parts
            else []
        )
        of_steps: dict[Scheduled, list[Tensor]] = {}
        for (task, _), hidden in zip(steps, found[: len(steps)], strict=True):
            of_steps.setdefault(task, []).append(hidden)
        ready = [(task, some[0] if len(some) == 1 else torch.cat(some)) for task, some in of_steps.items()]
        return ready, self._begun(parts, found[len(steps) :])

    def _parts(self) -> list[tuple[Scheduled, Read]]:
        """The parts of prompts that are read next, shorter ones first."""
        left = self._max_prefill_tokens if self._running else max(self._max_prefill_tokens, IDLE_PREFILL_TOKENS)
        parts: list[tuple[Scheduled, Read]] = []
        for task in self._prefilling:
            if left <= 0 or not self._is_led(task):
                continue
            ids = task.window[task.num_read : task.num_read + left]
            left -= len(ids)
            parts.append((task, Read(task.slot, ids, len(ids) if task.decoding.keeps_hidden else 1)))
        return sorted(parts, key=lambda part: len(part[1].ids))

    def _begun(self, parts: Several[tuple[Scheduled, Read]], found: Several[Tensor]) -> list[tuple[Scheduled, Tensor]]:
        """Clients whose prompts are read whole now run from here on."""
        ends: dict[Scheduled, Tensor] = {}
        for (task, read), hidden in zip(parts, found, strict=True):
            task.num_read += len(read.ids)
            if task.decoding.keeps_hidden:
                task.decoding.look(hidden)
            if task.num_read == len(task.window):
                ends[task] = hidden[-1:]
        for task in self._prefilling:  # those who wait for the whole of what another has just read
            if task.leader is not None and task.leader[1] == len(task.window) and task.leader[0] in ends:
                self._follow(task, len(task.window))
                ends[task] = ends[task.leader[0]]
        ready = [(task, ends[task]) for task in self._prefilling if task in ends]
        self._prefilling = [task for task in self._prefilling if task not in ends]
        self._running += [task for task, _ in ready]
        return ready

    def _is_led(self, task: Scheduled) -> bool:
        """Whether a client may read on: not while another reads its beginning."""
        if task.leader is None:
            return True
        leader, same = task.leader
        is_there = leader.decoding.is_open and leader.window[:same] == task.window[:same]
        if not is_there or leader not in (*self._prefilling, *self._running):
            task.leader = None
            self._follow_what_was_left(task)
        elif same < len(task.window) and leader.num_read >= same:
            self._follow(task, same)
            task.leader = None
        return task.leader is None

    def _follow(self, task: Scheduled, length: int) -> None:
        leader, start = task.leader[0], task.num_read  # type: ignore[index]
        held = leader.decoding.base + length if self._decoder.can_crop else None
        self.cache.fork(leader.slot, task.slot, start=task.decoding.base + start if start else 0, length=held)
        task.decoding.base, task.num_read = leader.decoding.base, length

    def _follow_what_was_left(self, task: Scheduled) -> None:
        """Take over what a slot holds whose client has ended."""
        kept = self._free.best(self._held(task, task.window))
        if kept is not None and kept.num_tokens > task.num_read:
            length = kept.base + kept.num_tokens if self._decoder.can_crop else None
            self.cache.fork(kept.slot, task.slot, length=length)
            task.decoding.base, task.num_read = kept.base, kept.num_tokens

    def _advance(self, ready: Several[tuple[Scheduled, Tensor]]) -> None:
        by_class: dict[type[Decoding], list[tuple[Scheduled, Tensor]]] = {}
        for task, hidden in ready:
            by_class.setdefault(type(task.decoding), []).append((task, hidden))
        for kind, members in by_class.items():
            states = [found for _, found in members]
            hidden = states[0] if len(states) == 1 else torch.cat(states)
            kind.advance([task.decoding for task, _ in members], hidden, self._decoder)
        for task, _ in ready:
            decoding = task.decoding
            if not decoding.is_open:
                self._running.remove(task)
                self._release(task)
                self._report(task)
            elif decoding.next_start() > decoding.start:
                self._running.remove(task)
                task.num_read = 0
                self._start_reading(task)
