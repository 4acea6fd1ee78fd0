"""What threads do that share the ranges of long loops, as LLVM IR.

A pool of threads waits, in compiled code and without Python's lock, for loops in ranges. Whoever has nothing to do
takes the next range: the caller does all of them where no other thread is there in time. One call uses the pool at a
time; loops that are reached meanwhile in other threads of Python are run by these alone.

The word ``state`` holds the number of the loop (upper half) and the next of its ranges. A range is taken by replacing
the state that was read before the description of the loop; so the description belongs to it.

Where processors have other work, a thread may be suspended in the middle of a range, and the caller waits for it,
longer than the whole loop takes. After such a wait the next loops are run alone: 16 of them, and twice as many each
time that it happens again.
"""

from __future__ import annotations

import os
import platform
import time
from functools import cache

from .target import NAME, Module, compile_module, module_header

__all__ = ["WORDS", "module"]

SPINS = 2000  # times that a thread looks for the next loop, some 50 to 100 µs, before it sleeps

# Words of the memory of a pool; those that several threads write are 64 bytes apart.
STATE, BUSY, FINISHED, SLEEPING, STOP, LOOP, MUTEX, CONDITION, WORDS = 0, 8, 16, 24, 32, 40, 48, 64, 80
ALONE, PERIOD = BUSY + 1, BUSY + 2  # how many loops are run alone from here on, and after the next long wait
PERIODS = 16, 1024
LATE = 4, 30_000  # a wait is long from this many times the duration of a range on, and nanoseconds


def _word(name: str, k: int) -> str:
    return f"%{name} = getelementptr i64, ptr %pool, i64 {k}\n"


CLOCK = getattr(time, "CLOCK_MONOTONIC", 0)
_PAUSE = "call void @llvm.x86.sse2.pause()" if platform.machine().lower() in ("x86_64", "amd64") else ""
_DECLARED = "declare void @llvm.x86.sse2.pause()\n" if _PAUSE else ""
_DECLARED += """declare i32 @pthread_mutex_init(ptr, ptr)
declare i32 @pthread_cond_init(ptr, ptr)
declare i32 @pthread_mutex_lock(ptr)
declare i32 @pthread_mutex_unlock(ptr)
declare i32 @pthread_cond_wait(ptr, ptr)
declare i32 @pthread_cond_broadcast(ptr)
declare i32 @sched_yield()
declare i32 @clock_gettime(i32, ptr)
declare i64 @llvm.umin.i64(i64, i64)
declare i64 @llvm.umax.i64(i64, i64)
"""

# Runs the kernels of a step: records of a function, its parameters, and the number of its ranges (0: it has none).
# After the ranges a kernel is called once more, to add up what they found.
_RUN = f"""define void @{NAME}_run(ptr %head) #0 {{
entry:
%t = load ptr, ptr %head
%pr = getelementptr ptr, ptr %head, i64 1
%records = load ptr, ptr %pr
%pn = getelementptr i64, ptr %head, i64 2
%n = load i64, ptr %pn
br label %loop
loop:
%i = phi i64 [0, %entry], [%next, %latch]
%at = mul i64 %i, 3
%pf = getelementptr ptr, ptr %records, i64 %at
%f = load ptr, ptr %pf
%pp = getelementptr ptr, ptr %pf, i64 1
%p = load ptr, ptr %pp
%pc = getelementptr i64, ptr %pf, i64 2
%count = load i64, ptr %pc
%whole = icmp eq i64 %count, 0
br i1 %whole, label %once, label %ranges
once:
call void %f(ptr %t, ptr %p)
br label %latch
ranges:
call void @{NAME}_share(ptr %f, ptr %t, ptr %p, i64 %count)
call void %f(ptr %t, ptr %p, i64 %count)
br label %latch
latch:
%next = add i64 %i, 1
%more = icmp ult i64 %next, %n
br i1 %more, label %loop, label %done
done:
ret void
}}
"""

_ALONE = """%c = phi i64 [0, %FROM], [%cn, %alone]
call void %f(ptr %t, ptr %p, i64 %c)
%cn = add i64 %c, 1
%more = icmp ult i64 %cn, %count
br i1 %more, label %alone, label %done
done:
ret void
"""

_SHARE_ALONE = f"""define internal void @{NAME}_share(ptr %f, ptr %t, ptr %p, i64 %count) #0 {{
entry:
br label %alone
alone:
{_ALONE.replace("%FROM", "%entry")}}}
"""

_SHARE = f"""@{NAME}_pool = internal global ptr null
define void @{NAME}_use(ptr %pool) #0 {{
store atomic ptr %pool, ptr @{NAME}_pool seq_cst, align 8
ret void
}}
define internal void @{NAME}_share(ptr %f, ptr %t, ptr %p, i64 %count) #0 {{
entry:
%pool = load atomic ptr, ptr @{NAME}_pool acquire, align 8
%none = icmp eq ptr %pool, null
br i1 %none, label %single, label %try
try:
{_word("busy", BUSY)}%got = cmpxchg ptr %busy, i64 0, i64 1 acq_rel acquire
%mine = extractvalue {{ i64, i1 }} %got, 1
br i1 %mine, label %check, label %single
check:
{_word("alone_left", ALONE)}{_word("period", PERIOD)}%left = load i64, ptr %alone_left, align 8
%together = icmp eq i64 %left, 0
br i1 %together, label %publish, label %less
less:
%fewer = sub i64 %left, 1
store i64 %fewer, ptr %alone_left, align 8
store atomic i64 0, ptr %busy release, align 8
br label %single
single:
br label %alone
alone:
{_ALONE.replace("%FROM", "%single")}
publish:
{_word("loop", LOOP)}{_word("loop1", LOOP + 1)}{_word("loop2", LOOP + 2)}{_word("loop3", LOOP + 3)}
store atomic ptr %f, ptr %loop monotonic, align 8
store atomic ptr %t, ptr %loop1 monotonic, align 8
store atomic ptr %p, ptr %loop2 monotonic, align 8
store atomic i64 %count, ptr %loop3 monotonic, align 8
{_word("finished", FINISHED)}store atomic i64 0, ptr %finished monotonic, align 8
{_word("state", STATE)}%old = load atomic i64, ptr %state monotonic, align 8
%number = lshr i64 %old, 32
%following = add i64 %number, 1
%new = shl i64 %following, 32
%t0 = call i64 @{NAME}_now()
store atomic i64 %new, ptr %state seq_cst, align 8
{_word("sleeping", SLEEPING)}%asleep = load atomic i64, ptr %sleeping seq_cst, align 8
%wake = icmp ne i64 %asleep, 0
br i1 %wake, label %call, label %work
call:
call void @{NAME}_wake(ptr %pool)
br label %work
work:
%mynumber = lshr i64 %new, 32
%own = call i64 @{NAME}_work(ptr %pool, i64 %mynumber)
%t1 = call i64 @{NAME}_now()
br label %wait
wait:
%spins = phi i64 [0, %work], [%spun, %again]
%ended = load atomic i64, ptr %finished acquire, align 8
%all = icmp eq i64 %ended, %count
br i1 %all, label %free, label %pause
pause:
{_PAUSE}
%spun = add i64 %spins, 1
%often = and i64 %spun, 255
%yield = icmp eq i64 %often, 0
br i1 %yield, label %give, label %again
give:
%ignored = call i32 @sched_yield()
br label %again
again:
br label %wait
free:
%t2 = call i64 @{NAME}_now()
%waited = sub i64 %t2, %t1
%worked = sub i64 %t1, %t0
%some = call i64 @llvm.umax.i64(i64 %own, i64 1)
%each = udiv i64 %worked, %some
%several = mul i64 %each, {LATE[0]}
%limit = add i64 %several, {LATE[1]}
%late = icmp ugt i64 %waited, %limit
%before = load i64, ptr %period, align 8
%double = shl i64 %before, 1
%least = call i64 @llvm.umax.i64(i64 %double, i64 {PERIODS[0]})
%longer = call i64 @llvm.umin.i64(i64 %least, i64 {PERIODS[1]})
%shorter = lshr i64 %before, 1
%then = select i1 %late, i64 %longer, i64 %shorter
store i64 %then, ptr %period, align 8
%off = select i1 %late, i64 %longer, i64 0
store i64 %off, ptr %alone_left, align 8
store atomic i64 0, ptr %busy release, align 8
br label %done
}}
define internal i64 @{NAME}_now() #0 {{
%at = alloca [2 x i64]
%ignored = call i32 @clock_gettime(i32 {CLOCK}, ptr %at)
%seconds = load i64, ptr %at
%rest = getelementptr i64, ptr %at, i64 1
%nano = load i64, ptr %rest
%large = mul i64 %seconds, 1000000000
%now = add i64 %large, %nano
ret i64 %now
}}
define internal i64 @{NAME}_work(ptr %pool, i64 %number) #0 {{
entry:
{_word("state", STATE)}{_word("finished", FINISHED)}{_word("loop", LOOP)}{_word("loop1", LOOP + 1)}
{_word("loop2", LOOP + 2)}{_word("loop3", LOOP + 3)}br label %look
look:
%d = phi i64 [0, %entry], [%d, %take], [%d1, %run]
%s = load atomic i64, ptr %state acquire, align 8
%is = lshr i64 %s, 32
%same = icmp eq i64 %is, %number
br i1 %same, label %read, label %done
read:
%f = load atomic ptr, ptr %loop monotonic, align 8
%t = load atomic ptr, ptr %loop1 monotonic, align 8
%p = load atomic ptr, ptr %loop2 monotonic, align 8
%count = load atomic i64, ptr %loop3 monotonic, align 8
%c = and i64 %s, 4294967295
%left = icmp ult i64 %c, %count
br i1 %left, label %take, label %done
take:
%after = add i64 %s, 1
%got = cmpxchg ptr %state, i64 %s, i64 %after acq_rel acquire
%mine = extractvalue {{ i64, i1 }} %got, 1
br i1 %mine, label %run, label %look
run:
call void %f(ptr %t, ptr %p, i64 %c)
%before = atomicrmw add ptr %finished, i64 1 acq_rel
%d1 = add i64 %d, 1
br label %look
done:
ret i64 %d
}}
define void @{NAME}_start(ptr %pool) #0 {{
{_word("mutex", MUTEX)}{_word("condition", CONDITION)}%a = call i32 @pthread_mutex_init(ptr %mutex, ptr null)
%b = call i32 @pthread_cond_init(ptr %condition, ptr null)
ret void
}}
define void @{NAME}_wake(ptr %pool) #0 {{
{_word("mutex", MUTEX)}{_word("condition", CONDITION)}%a = call i32 @pthread_mutex_lock(ptr %mutex)
%b = call i32 @pthread_cond_broadcast(ptr %condition)
%c = call i32 @pthread_mutex_unlock(ptr %mutex)
ret void
}}
define void @{NAME}_stop(ptr %pool) #0 {{
{_word("stop", STOP)}store atomic i64 1, ptr %stop seq_cst, align 8
call void @{NAME}_wake(ptr %pool)
ret void
}}
define void @{NAME}_worker(ptr %pool) #0 {{
entry:
{_word("state", STATE)}{_word("stop", STOP)}{_word("sleeping", SLEEPING)}{_word("mutex", MUTEX)}
{_word("condition", CONDITION)}br label %begin
begin:
%seen = phi i64 [0, %entry], [%is, %run], [%seen, %woken]
br label %spin
spin:
%spins = phi i64 [0, %begin], [%spun, %pause]
%s = load atomic i64, ptr %state acquire, align 8
%is = lshr i64 %s, 32
%other = icmp ne i64 %is, %seen
br i1 %other, label %run, label %stopped
run:
%did = call i64 @{NAME}_work(ptr %pool, i64 %is)
br label %begin
stopped:
%end = load atomic i64, ptr %stop acquire, align 8
%over = icmp ne i64 %end, 0
br i1 %over, label %done, label %pause
pause:
{_PAUSE}
%spun = add i64 %spins, 1
%on = icmp ult i64 %spun, {SPINS}
br i1 %on, label %spin, label %sleep
sleep:
%a = call i32 @pthread_mutex_lock(ptr %mutex)
%b = atomicrmw add ptr %sleeping, i64 1 seq_cst
br label %asleep
asleep:
%s2 = load atomic i64, ptr %state seq_cst, align 8
%is2 = lshr i64 %s2, 32
%still = icmp eq i64 %is2, %seen
%end2 = load atomic i64, ptr %stop seq_cst, align 8
%on2 = icmp eq i64 %end2, 0
%stay = and i1 %still, %on2
br i1 %stay, label %cond, label %woken
cond:
%c = call i32 @pthread_cond_wait(ptr %condition, ptr %mutex)
br label %asleep
woken:
%d = atomicrmw sub ptr %sleeping, i64 1 seq_cst
%e = call i32 @pthread_mutex_unlock(ptr %mutex)
br label %begin
done:
ret void
}}
"""


@cache
def module() -> Module:
    """The functions ``run`` (of a step), ``use`` (a pool), ``start``, ``stop`` and ``worker``."""
    parts = [_DECLARED, _RUN, _SHARE] if os.name == "posix" else [_RUN, _SHARE_ALONE]
    return compile_module("\n".join([*parts, module_header()]), 0)
