# Limits of requests in Ruby: Rack::Attack, which counts in a store, over the gem redis. Also that gem's own basics.
require 'redis'
require 'rack'
require 'rack/attack'

HOST = '127.0.0.1'
PORT = Integer(ENV.fetch('CLIENTS_PORT'))
REDIS = Redis.new(host: HOST, port: PORT)
REDIS.flushall
COUNTS = { 'ok' => 0, 'FAIL' => 0, 'absent' => 0 }

def same(found, wanted)
  raise "#{found.inspect}, not #{wanted.inspect}" unless found == wanted
end

# A case: its name says what must hold.
def check(name)
  yield
  word = 'ok'
rescue StandardError => e
  word = 'FAIL'
  why = ": #{e.full_message}"
ensure
  COUNTS[word] += 1
  puts "#{word} - #{name}#{why}"
end

check 'strings, counters and times to live' do
  same REDIS.set('k', "v\0\r\n"), 'OK'
  same REDIS.get('k'), "v\0\r\n"
  same REDIS.set('k', 'w', nx: true), false
  same REDIS.set('k', 'w', ex: 50, xx: true), true
  same REDIS.ttl('k').between?(48, 50), true
  same REDIS.incrby('n', 5), 5
  same REDIS.mget('k', 'none'), ['w', nil]
  same REDIS.mapped_mget('k', 'n'), { 'k' => 'w', 'n' => '5' }
  same REDIS.scan_each(match: '*').to_a.sort, %w[k n]
  same REDIS.del('k', 'n'), 2
end

check 'a pipeline' do
  same REDIS.pipelined { |p| 100.times { |i| p.set("p#{i}", i); p.get("p#{i}") } }.each_slice(2).map(&:last),
       (0...100).map(&:to_s)
end

check 'messages' do
  found = []
  subscriber = Thread.new do
    Redis.new(host: HOST, port: PORT).subscribe('news') do |on|
      on.message do |_, message|
        found << message
        Thread.exit if message == 'end'
      end
    end
  end
  sleep 0.01 until REDIS.publish('news', 'first') == 1
  REDIS.publish('news', 'end')
  subscriber.join(5)
  same found, %w[first end]
end

Rack::Attack.cache.store = REDIS
Rack::Attack.throttle('by address', limit: 5, period: 1_000_000) { |request| request.ip }
Rack::Attack.blocklist('who asks for passwords') do |request|
  Rack::Attack::Fail2Ban.filter("pw-#{request.ip}", maxretry: 3, findtime: 1_000_000, bantime: 1000) do
    request.path == '/etc/passwd'
  end
end
APP = Rack::Builder.new do
  use Rack::Attack
  run ->(_) { [200, {}, ['hello']] }
end.to_app

def visit(address, path = '/')
  Rack::MockRequest.new(APP).get(path, 'REMOTE_ADDR' => address).status
end

check 'the sixth request in a window is refused' do
  same (1..8).map { visit('10.0.0.1') }, [200] * 5 + [429] * 3
  key = REDIS.keys('rack::attack:*by address:10.0.0.1').first
  same REDIS.get(key), '8'
  same REDIS.ttl(key).between?(1, 1_000_001), true
end

check 'another address is not meant' do
  same visit('10.0.0.2'), 200
end

check 'who misbehaves three times is banned' do
  same [visit('10.0.0.3', '/etc/passwd'), visit('10.0.0.3', '/etc/passwd'), visit('10.0.0.3')], [403, 403, 200]
  same [visit('10.0.0.3', '/etc/passwd'), visit('10.0.0.3')], [403, 403]
  same REDIS.ttl('rack::attack:fail2ban:ban:pw-10.0.0.3').between?(990, 1000), true
end

check 'it can be forgiven' do
  Rack::Attack::Fail2Ban.reset('pw-10.0.0.3', findtime: 1_000_000)
  same visit('10.0.0.3'), 200
end

puts "#{COUNTS['ok']} passed, #{COUNTS['FAIL']} failed, #{COUNTS['absent']} absent"
exit COUNTS['FAIL'].zero? && COUNTS['ok'].positive?
