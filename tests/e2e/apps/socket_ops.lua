-- Operations of WebSockets in cancela.select. What happens shows in the log.
local cancela = require "cancela"
local log = cancela.log

local news = cancela.channel()
local lent -- a socket that another handler may read

local function describe_error(f, ...)
    return (select(2, pcall(f, ...)):gsub("^.-:%d+: ", ""))
end

return cancela.app {
    procedures = {
        publish = function(params) return news:send(params.text) end,
        notify = function(params, call)
            return { cancela.select { call.client:notify_op(params.event, params.data), cancela.sleep_op(60) } }
        end,
        twice = function(_, call)
            local op = call.client:notify_op("again")
            return { (cancela.select { op }), (cancela.select { op }) }
        end,
        misuse = function(_, call)
            return {
                describe_error(call.client.notify_op, call.client, "bad", { f = print }),
                describe_error(call.client.send_op, call.client, "x"),
                describe_error(call.client.receive_op, call.client),
            }
        end,
    },
    sockets = {
        -- Loses nearly every time that a message is not there yet.
        ["/impatient"] = function(socket)
            while true do
                local place, message, kind = cancela.select { cancela.sleep_op(0), socket:receive_op() }
                if place == 2 and message == nil then
                    return log.info("impatient saw the end: " .. kind)
                elseif place == 2 then
                    socket:send(message, kind)
                end
            end
        end,
        ["/news"] = function(socket)
            while true do
                local place, text = cancela.select { socket:receive_op(), news:recv_op() }
                if not text then return log.info "no more news" end
                socket:send((place == 1 and "you: " or "news: ") .. text)
            end
        end,
        ["/timeouts"] = function(socket)
            for _ = 1, 20 do
                local ok, reason = cancela.timeout(0.002, function() cancela.select { socket:receive_op() } end)
                assert(not ok and reason.kind == "timeout")
            end
            socket:send "ready"
            socket:send((select(2, cancela.select { socket:receive_op(), socket:receive_op() })))
        end,
        ["/lend"] = function(socket)
            lent = socket
            local place, message, why = cancela.select { cancela.sleep_op(60), socket:receive_op() }
            log.info(("lender: %d %s %s"):format(place, message, why))
        end,
        ["/borrow"] = function(socket) socket:send(describe_error(cancela.select, { lent:receive_op() })) end,
        ["/watch"] = function(socket)
            local place, message, why = cancela.select { cancela.sleep_op(60), lent:receive_op() }
            socket:send(("%d %s %s"):format(place, message, why))
        end,
        ["/idle"] = function(socket)
            lent = socket
            log.info "idle"
            cancela.sleep(60)
        end,
        -- Offers messages to a client that reads little, gives up five times, and tells what it sent.
        ["/offer"] = function(socket)
            local padding, sent, given_up = (" "):rep(60000), {}, 0
            for i = 1, 10000 do
                if cancela.select { socket:send_op(i .. padding), cancela.sleep_op(0.01) } == 1 then
                    sent[#sent + 1] = i
                else
                    given_up = given_up + 1
                    if given_up == 5 then break end
                end
            end
            log.info("offered " .. table.concat(sent, ","))
            socket:send "end"
        end,
        -- Many who wait for room; half of them with no patience.
        ["/crowd"] = function(socket)
            local padding, sent = (" "):rep(20000), 0
            cancela.group(function(g)
                for at = 1, 20 do
                    g:spawn(function()
                        for i = 1, 30 do
                            local text = at .. ":" .. i .. padding
                            if at % 2 == 0 then
                                socket:send(text)
                                sent = sent + 1
                            elseif cancela.select { socket:send_op(text), cancela.sleep_op(0) } == 1 then
                                sent = sent + 1
                            end
                        end
                    end)
                end
            end)
            socket:send("sent " .. sent)
        end,
        -- The end of the socket is also the end of its handler's token.
        ["/both"] = function(socket)
            local token = cancela.token()
            while true do
                local place, message = cancela.select { token:wait_op(), socket:receive_op() }
                if message == nil or place == 1 then
                    return log.info(("both: %d %s"):format(place, token.reason.kind))
                end
                socket:send(message)
            end
        end,
        ["/gone"] = function(socket)
            local _ <close> = cancela.defer(function()
                local _, sent, why = cancela.select { socket:send_op "late" }
                log.info(("late: %s %s"):format(sent, why))
            end)
            log.info "waits for its end"
            cancela.sleep(60)
        end,
    },
}
