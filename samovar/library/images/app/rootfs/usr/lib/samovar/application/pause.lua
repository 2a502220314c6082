-- Keeps an answer for as long as the proxy pauses between two tries of a refused connection.
core.register_action("pause", { "http-res" }, function() core.msleep(250) end)
