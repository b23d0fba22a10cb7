<?php
// PHP: the extension phpredis as its session handler, and as a client.
$port = (int)getenv('CLIENTS_PORT');
$counts = ['ok' => 0, 'FAIL' => 0];

function same($found, $wanted): void
{
    if ($found !== $wanted) {
        throw new Exception(var_export($found, true) . ', not ' . var_export($wanted, true));
    }
}

// A case: its name says what must hold.
function check(string $name, callable $body): void
{
    global $counts;
    try {
        $body();
        $counts['ok']++;
        echo "ok - $name\n";
    } catch (Throwable $error) {
        $counts['FAIL']++;
        echo "FAIL - $name: $error\n";
    }
}

$redis = new Redis();
$redis->connect('127.0.0.1', $port);
$redis->flushAll();
ini_set('session.save_handler', 'redis');
ini_set('session.save_path', "tcp://127.0.0.1:$port?prefix=PHP:&database=2");
ini_set('session.use_cookies', '0');
ini_set('session.cache_limiter', '');
ini_set('session.gc_maxlifetime', '200');
ob_start();

check('strings, counters and times to live', function () use ($redis) {
    same($redis->set('k', "v\0\r\n"), true);
    same($redis->get('k'), "v\0\r\n");
    same($redis->set('k', 'w', ['nx', 'ex' => 10]), false);
    same($redis->setex('k', 50, 'w'), true);
    same($redis->ttl('k') > 47, true);
    same($redis->incrBy('n', 5), 5);
    same($redis->mget(['k', 'none', 'n']), ['w', false, '5']);
    same($redis->exists('k', 'n'), 2);
    same($redis->bitcount('k'), 6);
    same($redis->del('k', 'n'), 2);
});
check('it scans', function () use ($redis) {
    $redis->setOption(Redis::OPT_SCAN, Redis::SCAN_RETRY);
    $redis->mset(array_combine(array_map(fn($i) => "scan:$i", range(1, 200)), range(1, 200)));
    $found = [];
    $cursor = null;
    while (($keys = $redis->scan($cursor, 'scan:*', 20)) !== false) {
        $found = array_merge($found, $keys);
    }
    same(count(array_unique($found)), 200);
});
check('a pipeline', function () use ($redis) {
    same($redis->pipeline()->set('p', 1)->incr('p')->get('p')->exec(), [true, 2, '2']);
});
check('a session is kept and found again', function () use ($redis) {
    session_id('alice');
    session_start();
    same($_SESSION, []);
    $_SESSION['basket'] = ['tea', 'milk'];
    session_write_close();
    $_SESSION = [];
    session_start();
    same($_SESSION, ['basket' => ['tea', 'milk']]);
    session_write_close();
    $redis->select(2);
    same($redis->exists('PHP:alice'), 1);
    $ttl = $redis->ttl('PHP:alice');
    same($ttl > 195 && $ttl <= 200, true);
});
check('its name can be changed', function () use ($redis) {
    session_id('alice');
    session_start();
    session_regenerate_id(true);
    $id = session_id();
    session_write_close();
    same($redis->exists('PHP:alice'), 0);
    same($redis->exists("PHP:$id"), 1);
});
check('it is destroyed', function () use ($redis) {
    session_start();
    $id = session_id();
    session_destroy();
    same($redis->exists("PHP:$id"), 0);
});

ob_end_flush();
echo "{$counts['ok']} passed, {$counts['FAIL']} failed, 0 absent\n";
exit($counts['FAIL'] > 0 || $counts['ok'] === 0 ? 1 : 0);
