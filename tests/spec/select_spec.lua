-- Channels, semaphores, mutexes, intervals, and cancela.select.
local cancela = require "cancela"

--- Runs the functions beside each other until all have ended.
local function together(...)
  local fns = { ... }
  return cancela.group(function(g)
    for _, fn in ipairs(fns) do
      g:spawn(fn)
    end
  end)
end

--- Starts `fn` in `g`, and lets it run until it waits.
local function started(g, fn, ...)
  local h = g:spawn(fn, ...)
  cancela.sleep(0)
  return h
end

describe("channel", function()
  it("hands values over in order", function()
    for _, capacity in ipairs { 0, 1, 3, 100 } do
      local channel, got = cancela.channel(capacity), {}
      together(function()
        for i = 1, 50 do
          assert.is_true(channel:send(i))
        end
        channel:close()
      end, function()
        for v in channel.recv, channel do
          got[#got + 1] = v
        end
      end)
      assert.equal(50, #got)
      for i = 1, 50 do
        assert.equal(i, got[i])
      end
    end
  end)

  it("serves receivers, and senders, in the order in which they came", function()
    local channel, got = cancela.channel(), {}
    cancela.group(function(g)
      for i = 1, 3 do
        started(g, function()
          local v = channel:recv()
          got[#got + 1] = i .. v
        end)
      end
      for _, v in ipairs { "a", "b", "c" } do
        channel:send(v)
      end
    end)
    assert.same({ "1a", "2b", "3c" }, got)
    cancela.group(function(g)
      for i = 1, 3 do
        started(g, function() channel:send(i) end)
      end
      assert.same({ 1, 2, 3 }, { channel:recv(), channel:recv(), channel:recv() })
    end)
  end)

  it("holds as many values as it was made for, and no more", function()
    local channel = cancela.channel(2)
    assert.is_true(channel:send(1))
    assert.is_true(channel:send(2))
    assert.is_false((cancela.timeout(1, channel.send, channel, 3)))
    assert.equal(1, channel:recv())
    assert.is_true(channel:send(4))
    assert.same({ 2, 4 }, { channel:recv(), channel:recv() })
    assert.is_false((cancela.timeout(1, channel.recv, channel)))
  end)

  it("without room makes the sender wait for a receiver", function()
    local channel, order = cancela.channel(), {}
    together(function()
      channel:send("v")
      order[#order + 1] = "sent"
    end, function()
      cancela.sleep(1)
      order[#order + 1] = "asks"
      channel:recv()
    end)
    assert.same({ "asks", "sent" }, order)
  end)

  it("once closed gives what it holds, then nil and closed", function()
    local channel = cancela.channel(2)
    channel:send(1)
    channel:send(false)
    assert.is_true(channel:close())
    assert.is_false(channel:close())
    assert.same({ n = 2, nil, "closed" }, table.pack(channel:send(3)))
    assert.equal(1, channel:recv())
    assert.is_false(channel:recv())
    assert.same({ n = 2, nil, "closed" }, table.pack(channel:recv()))
  end)

  it("tells those who wait when it is closed", function()
    local out, into = cancela.channel(), cancela.channel()
    cancela.group(function(g)
      local sender = started(g, out.send, out, 1)
      local receiver = started(g, into.recv, into)
      out:close()
      into:close()
      assert.same({ nil, "closed" }, { sender:await() })
      assert.same({ nil, "closed" }, { receiver:await() })
    end)
  end)

  it("case 13: delivers a value to a receiver that is cancelled before it runs", function()
    local channel, got, reason = cancela.channel(), nil, nil
    cancela.group(function(g)
      local h = started(g, function()
        got = channel:recv()
        local _
        _, reason = pcall(cancela.sleep, 0)
      end)
      channel:send("item")
      h:cancel()
    end)
    assert.equal("item", got)
    assert.equal("user", cancela.is_cancel(reason).kind)
  end)

  it("case 13: leaves the value to the next if the receiver was cancelled first", function()
    local channel, got = cancela.channel(), nil
    cancela.group(function(g)
      local first = started(g, function() channel:recv() end)
      started(g, function() got = channel:recv() end)
      first:cancel()
      channel:send("item")
    end)
    assert.equal("item", got)
  end)

  it("loses no value of a sender that is cancelled, and sends none twice", function()
    local channel, sent = cancela.channel(1), {}
    channel:send(0)
    cancela.group(function(g)
      local waiting = started(g, function() sent[1] = channel:send(1) end)
      local taken = started(g, function() sent[2] = channel:send(2) end)
      waiting:cancel()
      assert.equal(0, channel:recv())
      taken:cancel()
      cancela.sleep(0)
      assert.equal(2, channel:recv())
    end)
    assert.same({ nil, true }, { sent[1], sent[2] })
    assert.is_false((cancela.timeout(0.1, channel.recv, channel)))
  end)

  it("keeps no value that was received", function()
    local channel = cancela.channel(3)
    local held = setmetatable({}, { __mode = "k" })
    for _ = 1, 3 do
      local value = {}
      held[value] = true
      channel:send(value)
    end
    for _ = 1, 3 do
      channel:recv()
    end
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(held))
  end)

  it("is made with a capacity of 0 to 1000000, and carries anything but nil", function()
    assert(cancela.channel(0) and cancela.channel(1000000))
    assert.error_matches(function() cancela.channel(-1) end, "from 0 to 1000000")
    assert.error_matches(function() cancela.channel(1000001) end, "from 0 to 1000000")
    assert.error_matches(function() cancela.channel(1):send(nil) end, "nil cannot be sent")
    assert.error_matches(function() cancela.channel(1):send() end, "value expected")
  end)
end)

describe("semaphore", function()
  it("lets as many in as it has permits, in order", function()
    local semaphore, inside, most, order = cancela.semaphore(2), 0, 0, {}
    cancela.group(function(g)
      for i = 1, 6 do
        g:spawn(function()
          semaphore:acquire()
          local _ <close> = cancela.defer(function() semaphore:release() end)
          inside = inside + 1
          most = math.max(most, inside)
          order[#order + 1] = i
          cancela.sleep(1)
          inside = inside - 1
        end)
      end
    end)
    assert.equal(2, most)
    assert.same({ 1, 2, 3, 4, 5, 6 }, order)
  end)

  it("case 14: passes the permit of a waiter that is cancelled in the same tick to the next", function()
    local semaphore, got = cancela.semaphore(1), {}
    semaphore:acquire()
    cancela.group(function(g)
      local first = started(g, function()
        semaphore:acquire()
        got[#got + 1] = "first"
      end)
      started(g, function()
        semaphore:acquire()
        got[#got + 1] = "second"
      end)
      semaphore:release()
      first:cancel()
    end)
    assert.same({ "second" }, got)
    semaphore:release()
    semaphore:acquire()
  end)

  it("case 14: gives the permit back if nobody else waits", function()
    local semaphore = cancela.semaphore(1)
    semaphore:acquire()
    cancela.group(function(g)
      local h = started(g, semaphore.acquire, semaphore)
      semaphore:release()
      h:cancel()
    end)
    assert.is_true((cancela.timeout(1, semaphore.acquire, semaphore)))
  end)

  it("has from 1 to 1000000 permits, and takes back no more than it gave", function()
    assert(cancela.semaphore(1) and cancela.semaphore(1000000))
    assert.error_matches(function() cancela.semaphore(0) end, "from 1 to 1000000")
    assert.error_matches(function() cancela.semaphore(1000001) end, "from 1 to 1000000")
    local semaphore = cancela.semaphore(1)
    semaphore:acquire()
    semaphore:release()
    assert.error_matches(function() semaphore:release() end, "all 1 permits of the semaphore are free")
  end)
end)

describe("mutex", function()
  it("case 15: is not blocked by a waiter that was cancelled", function()
    local mutex, got = cancela.mutex(), nil
    mutex:lock()
    cancela.group(function(g)
      local first = started(g, mutex.lock, mutex)
      started(g, function()
        mutex:lock()
        got = "second"
        mutex:unlock()
      end)
      first:cancel()
      cancela.sleep(1)
      mutex:unlock()
    end)
    assert.equal("second", got)
    mutex:lock()
    mutex:unlock()
  end)

  it("passes from a holder that was cancelled before it ran to the next", function()
    local mutex, got = cancela.mutex(), nil
    mutex:lock()
    cancela.group(function(g)
      local first = started(g, mutex.lock, mutex)
      started(g, function()
        mutex:lock()
        got = "second"
        mutex:unlock()
      end)
      mutex:unlock()
      first:cancel()
    end)
    assert.equal("second", got)
  end)

  it("is unlocked by who locked it and nobody else", function()
    local mutex = cancela.mutex()
    assert.error_matches(function() mutex:unlock() end, "the mutex is not locked")
    mutex:lock()
    assert.error_matches(function() mutex:lock() end, "this task holds the mutex already")
    together(function()
      assert.error_matches(function() mutex:unlock() end, "another task holds the mutex")
    end)
    mutex:unlock()
  end)
end)

describe("interval", function()
  it("ticks at even times, whatever happens in between", function()
    local interval, began = cancela.interval(1), cancela.now()
    for i = 1, 3 do
      assert.equal(1, interval:tick())
      assert.near(i, cancela.now() - began, 1e-6)
      cancela.sleep(0.4)
    end
  end)

  it("says how many ticks were missed, and gives them at once", function()
    local interval, began = cancela.interval(1), cancela.now()
    cancela.sleep(3.5)
    assert.equal(3, interval:tick())
    assert.near(3.5, cancela.now() - began, 1e-6)
    assert.equal(1, interval:tick())
    assert.near(4, cancela.now() - began, 1e-6)
  end)

  it("leaves the tick of a waiter that was cancelled to the next", function()
    local interval, began = cancela.interval(1), cancela.now()
    assert.is_false((cancela.timeout(0.5, interval.tick, interval)))
    assert.equal(1, interval:tick())
    assert.near(1, cancela.now() - began, 1e-6)
  end)

  it("gives each tick to one of those who wait", function()
    local interval, began, at = cancela.interval(1), cancela.now(), {}
    cancela.group(function(g)
      for i = 1, 3 do
        g:spawn(function()
          interval:tick()
          at[i] = math.floor(cancela.now() - began + 0.5)
        end)
      end
    end)
    assert.same({ 1, 2, 3 }, at)
  end)

  it("has a period of at least 0.001 seconds", function()
    assert.equal(1, cancela.interval(0.001):tick())
    assert.error_matches(function() cancela.interval(0.0009) end, "at least 0.001 seconds")
  end)
end)

describe("select", function()
  it("returns the place and the results of the operation that is done first", function()
    local channel = cancela.channel()
    cancela.group(function(g)
      g:spawn(function()
        cancela.sleep(1)
        channel:send("v")
      end)
      assert.same({ 2, "v" }, { cancela.select { cancela.sleep_op(5), channel:recv_op() } })
      assert.same({ n = 1, 1 }, table.pack(cancela.select { cancela.sleep_op(1), channel:recv_op() }))
    end)
  end)

  it("takes the first in the list of those that can be done at once", function()
    local a, b = cancela.channel(1), cancela.channel(1)
    a:send("a")
    b:send("b")
    assert.same({ 1, "b" }, { cancela.select { b:recv_op(), a:recv_op() } })
    assert.same({ 2, "a" }, { cancela.select { b:recv_op(), a:recv_op() } })
    assert.same({ 1, true }, { cancela.select { a:send_op(1), b:send_op(2) } })
    assert.same({ 2, true }, { cancela.select { a:send_op(1), b:send_op(2) } })
  end)

  it("takes the first in the list of those whose time comes at once", function()
    for _ = 1, 10 do
      assert.equal(1, (cancela.select { cancela.sleep_op(1), cancela.sleep_op(1) }))
      local interval = cancela.interval(1)
      assert.equal(2, (cancela.select { cancela.sleep_op(2), interval:tick_op(), cancela.sleep_op(1) }))
      cancela.sleep(0.5)
      assert.equal(1, (cancela.select { cancela.sleep_op(0.5), interval:tick_op() }))
      assert.equal(1, interval:tick())
    end
  end)

  it("case 56: never loses an item, whichever wins", function()
    local channel, got, sent = cancela.channel(), {}, 200
    cancela.group(function(g)
      g:spawn(function()
        for i = 1, sent do
          channel:send(i)
          if i % 3 == 0 then
            cancela.sleep(0)
          end
        end
        channel:close()
      end)
      while true do
        local place, value, err = cancela.select { channel:recv_op(), cancela.sleep_op(0) }
        if err == "closed" then
          break
        elseif place == 1 then
          got[#got + 1] = value
        end
      end
    end)
    assert.equal(sent, #got)
    for i = 1, sent do
      assert.equal(i, got[i])
    end
  end)

  it("case 56: leaves nothing of the operations that did not happen", function()
    local a, b, semaphore = cancela.channel(), cancela.channel(1), cancela.semaphore(1)
    b:send("full")
    semaphore:acquire()
    cancela.group(function(g)
      local h = started(g, cancela.select, { a:recv_op(), b:send_op(1), semaphore:acquire_op(), cancela.sleep_op(9) })
      a:send("v")
      assert.same({ 1, "v" }, { h:await() })
    end)
    semaphore:release()
    semaphore:acquire()
    assert.equal("full", b:recv())
    assert.is_false((cancela.timeout(1, b.recv, b)))
    assert.is_false((cancela.timeout(1, a.send, a, 1)))
  end)

  it("that is cancelled took nothing", function()
    local channel, mutex = cancela.channel(), cancela.mutex()
    assert.is_false((cancela.timeout(1, cancela.select, { channel:recv_op(), cancela.sleep_op(5) })))
    assert.is_false((cancela.timeout(1, channel.send, channel, 1)))
    mutex:lock()
    together(function()
      assert.is_false((cancela.timeout(1, cancela.select, { mutex:lock_op(), channel:recv_op() })))
    end)
    mutex:unlock()
    mutex:lock()
  end)

  it("matches two tasks that select on the same channel, never one with itself", function()
    local channel, got = cancela.channel(), {}
    assert.equal(3, (cancela.select { channel:send_op("self"), channel:recv_op(), cancela.sleep_op(1) }))
    together(function()
      got[1] = cancela.select { channel:send_op("a"), channel:recv_op() }
    end, function()
      got[2] = cancela.select { channel:recv_op(), channel:send_op("b") }
    end)
    assert.same({ 1, 1 }, got)
  end)

  it("awaits subtasks, and raises their errors", function()
    cancela.group(function(g)
      local slow, fast = g:spawn(cancela.sleep, 5), g:spawn(function() return "fast" end)
      assert.same({ 2, "fast" }, { cancela.select { slow:await_op(), fast:await_op() } })
      slow:cancel()
      local _, e = pcall(cancela.select, { slow:await_op(), cancela.sleep_op(9) })
      assert.equal("cancelled", e.kind)
    end)
  end)

  it("may be given the same operations again", function()
    local channel = cancela.channel(1)
    local ops = { channel:recv_op(), cancela.sleep_op(1) }
    local began = cancela.now()
    assert.equal(2, (cancela.select(ops)))
    channel:send(7)
    assert.same({ 1, 7 }, { cancela.select(ops) })
    assert.equal(2, (cancela.select(ops)))
    assert.near(2, cancela.now() - began, 1e-6)
  end)

  it("takes 1 to 100 different operations that nobody else awaits", function()
    local channel, ops = cancela.channel(), {}
    for i = 1, 100 do
      ops[i] = cancela.sleep_op(i)
    end
    assert.equal(1, (cancela.select(ops)))
    ops[101] = cancela.sleep_op(1)
    assert.error_matches(function() cancela.select(ops) end, "1 to 100 operations expected, got 101")
    assert.error_matches(function() cancela.select {} end, "1 to 100 operations expected, got 0")
    assert.error_matches(function() cancela.select { channel } end, "element 1 is no operation but a")
    assert.error_matches(function() cancela.select() end, "bad argument #1 to 'select'")
    local op = channel:recv_op()
    assert.error_matches(function() cancela.select { op, op } end, "elements 1 and 2 are the same")
    cancela.group(function(g)
      local h = started(g, cancela.select, { op })
      assert.error_matches(function() cancela.select { cancela.sleep_op(1), op } end, "element 2 is being awaited")
      h:cancel()
    end)
  end)

  it("raises at once in a scope that is cancelled, and takes nothing", function()
    local channel = cancela.channel(1)
    channel:send(1)
    cancela.timeout(0, function()
      pcall(cancela.sleep, 0)
      channel:recv()
    end)
    assert.equal(1, channel:recv())
  end)
end)
