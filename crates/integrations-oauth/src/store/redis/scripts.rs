//! What Redis runs as one step.
//!
//! The fields of a connection: `version`, `fence`; `until`, the end of its lease, which is missing when nobody has one;
//! `state`, `since`, `sealed` and `due`, which are missing when nothing is kept, and `due` when it never comes.

use std::sync::LazyLock;

use redis::Script;

/// Keys: connection, names, due. Arguments: name, version seen, state, since, sealed, due or empty, fence or empty.
pub(super) static SWAP: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local connection, names, due = KEYS[1], KEYS[2], KEYS[3]
local present = '0'
if redis.call('HEXISTS', connection, 'sealed') == 1 then
  present = redis.call('HGET', connection, 'version')
end
if present ~= ARGV[2] then return false end
local version = redis.call('HINCRBY', connection, 'version', 1)
redis.call('HSET', connection, 'state', ARGV[3], 'since', ARGV[4], 'sealed', ARGV[5])
redis.call('ZADD', names, 0, ARGV[1])
if ARGV[6] == '' then
  redis.call('HDEL', connection, 'due')
  redis.call('ZREM', due, ARGV[1])
else
  redis.call('HSET', connection, 'due', ARGV[6])
  redis.call('ZADD', due, ARGV[6], ARGV[1])
end
if redis.call('HGET', connection, 'fence') == ARGV[7] then
  redis.call('HDEL', connection, 'until')
end
return version",
    )
});

/// Keys: connection, names, due. Arguments: name, version seen.
pub(super) static REMOVE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local connection = KEYS[1]
if redis.call('HEXISTS', connection, 'sealed') == 0 then return 0 end
if redis.call('HGET', connection, 'version') ~= ARGV[2] then return 0 end
redis.call('HDEL', connection, 'state', 'since', 'sealed', 'due')
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
return 1",
    )
});

/// Key: connection. Argument: milliseconds. Gives the fence, and whether the lease before ran out.
pub(super) static LEASE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local before = redis.call('HGET', KEYS[1], 'until')
if before and tonumber(before) > now then return false end
local fence = redis.call('HINCRBY', KEYS[1], 'fence', 1)
redis.call('HSET', KEYS[1], 'until', string.format('%.0f', now + ARGV[1]))
return {fence, before and 1 or 0}",
    )
});

/// Key: connection. Argument: fence.
pub(super) static RELEASE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local before = redis.call('HGET', KEYS[1], 'until')
if before and tonumber(before) > now and redis.call('HGET', KEYS[1], 'fence') == ARGV[1] then
  redis.call('HDEL', KEYS[1], 'until')
end",
    )
});

/// Key: names. Arguments: what stands before a name in a connection's key, the bounds, how many, the fields. Names and
/// connections are read in one step, so that no connection is removed in between and leaves a page short.
pub(super) static LIST: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local prefix, from, to, limit = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local found = redis.call('ZRANGEBYLEX', KEYS[1], from, to, 'LIMIT', 0, limit)
for i, name in ipairs(found) do
  found[i] = {name, redis.call('HMGET', prefix .. name, unpack(ARGV, 5))}
end
return found",
    )
});
