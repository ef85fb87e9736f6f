/* Every setting of the gateway, in one table. Only gateway/config.h includes this.
 *
 * X(kind, name, default, least, most, more, doc)
 *   kind    how it is written, and the type of the field (gateway/config.h)
 *   least, most   of a number, both allowed, in bytes or nanoseconds
 *   more    CHOICE: the choices, in the order of their enum; numbers: what to
 *           write, where the range does not say it; else NULL
 *   doc     one line for people, without the default */
#ifndef CLA_GATEWAY_CONFIG_TABLE_H
#define CLA_GATEWAY_CONFIG_TABLE_H

#include "base/clock.h"

#define CLA_KIB UINT64_C(1024)
#define CLA_MIB (1024 * CLA_KIB)
#define CLA_GIB (1024 * CLA_MIB)
#define CLA_DAY_NS (24 * 3600 * CLA_NS_PER_S)

#define CLA_CONFIG_TABLE(X)                                                                       \
    X(LISTEN, listen, "127.0.0.1:3000", 0, 0, NULL,                                               \
      "addresses to serve on, separated by commas: 127.0.0.1:3000, [::1]:3000, :3000 for every "  \
      "address, unix:/path, systemd for passed sockets")                                          \
    X(PATH, tls_cert, "", 0, 0, NULL,                                                             \
      "PEM file with the certificate of https:// addresses, then those of its chain")             \
    X(PATH, tls_key, "", 0, 0, NULL, "PEM file with the private key of tls_cert")                 \
    X(PATH, tls_client_ca, "", 0, 0, NULL,                                                        \
      "PEM file with the authorities that sign the certificates of clients")                      \
    X(CHOICE, tls_client_auth, "none", 0, 0, "none|optional|require",                             \
      "whether clients show a certificate: never, as they like, always")                          \
    X(PATH, admin, "auto", 0, 0, NULL,                                                            \
      "unix socket of the operator's commands; auto: PID.sock in a folder of this user's; off")   \
    X(ADDRESS, metrics_listen, "off", 0, 0, NULL,                                                 \
      "address of /metrics, /healthz and /readyz, such as 127.0.0.1:9464 or unix:/path; off")     \
    X(THREADS, workers, "1", 1, 256, NULL,                                                        \
      "threads that run scripts, each with a VM of its own; auto for one per processor")          \
    X(DURATION, call_timeout, "30s", CLA_NS_PER_MS, CLA_DAY_NS, NULL,                             \
      "deadline of a call for which neither client nor procedure gives one")                      \
    X(DURATION, max_call_timeout, "300s", CLA_NS_PER_MS, CLA_DAY_NS, NULL,                        \
      "longest deadline of any call")                                                             \
    X(DURATION, stream_idle_timeout, "60s", CLA_NS_PER_MS, CLA_DAY_NS, NULL,                      \
      "longest time between two items of a stream for which neither client nor procedure gives "  \
      "a deadline")                                                                               \
    X(DURATION, grace, "500ms", 0, CLA_DAY_NS, NULL, "time a cancelled call has to clean up")     \
    X(DURATION, reload_drain, "60s", 0, CLA_DAY_NS, NULL,                                         \
      "time that calls of the code before a reload have to end")                                  \
    X(COUNT, max_generations, "3", 2, 100, NULL,                                                  \
      "most generations of the code at a time; with more, a reload waits for one to end")         \
    X(DURATION, shutdown_grace, "2s", 0, CLA_DAY_NS, NULL,                                        \
      "time a call cancelled by shutdown has to clean up")                                        \
    X(DURATION, drain_timeout, "30s", 0, CLA_DAY_NS, NULL,                                        \
      "time that running calls have to end at shutdown before they are cancelled")                \
    X(DURATION, hold_limit, "1s", 0, CLA_DAY_NS, NULL,                                            \
      "processor time that a call may use without an await, unless it is preemptible; 0: no "     \
      "limit")                                                                                    \
    X(DURATION, cpu_limit, "0", 0, CLA_DAY_NS, NULL,                                              \
      "processor time that a call may use in all; 0: no limit")                                   \
    X(DURATION, load_timeout, "5s", CLA_NS_PER_MS, CLA_DAY_NS, NULL, "time a script has to load") \
    X(BYTES, vm_memory, "256MiB", 4 * CLA_MIB, 1024 * CLA_GIB, NULL,                              \
      "most memory that the scripts of a worker may use")                                         \
    X(BYTES, shared_memory, "64MiB", 4096, 1024 * CLA_GIB, NULL,                                  \
      "most memory that cancela.shared may use, of all workers together")                         \
    X(COUNT, max_connections, "20000", 1, 1000000, NULL, "most connections at a time")            \
    X(COUNT, connections_per_address, "15000", 1, 1000000, NULL,                                  \
      "most connections at a time from one address, or from one IPv6 network of 64 bits")         \
    X(COUNT, max_calls, "20000", 1, 1000000, NULL,                                                \
      "most calls at a time; more are answered 'unavailable'")                                    \
    X(COUNT, max_detached, "1000", 0, 1000000, NULL,                                              \
      "most tasks of cancela.detach at a time, in each worker")                                   \
    X(BYTES, head_bytes, "16KiB", 256, 16 * CLA_MIB, NULL,                                        \
      "largest request line and headers of a request, together")                                  \
    X(COUNT, header_count, "100", 1, 128, NULL, "most header fields of a request")                \
    X(BYTES, target_bytes, "8KiB", 16, CLA_MIB, NULL, "longest request target (path and query)")  \
    X(BYTES, body_bytes, "1MiB", 1, CLA_GIB, NULL, "largest body of a request")                   \
    X(COUNT, calls_per_connection, "1000", 1, 1000000, NULL,                                      \
      "most calls at a time on one WebSocket; more are answered 'unavailable'")                   \
    X(COUNT, subscriptions_per_connection, "100", 1, 10000, NULL,                                 \
      "most topics that a WebSocket client may be subscribed to")                                 \
    X(COUNT, resets_per_second, "1000", 1, 1000000, NULL,                                         \
      "most calls that a WebSocket client may reset in a second before it is closed")             \
    X(BYTES, message_bytes, "1MiB", 1, CLA_GIB, NULL, "largest WebSocket message, decompressed")  \
    X(COUNT, message_fragments, "1000", 1, 1000000, NULL, "most frames of a WebSocket message")   \
    X(BOOL, compression, "true", 0, 0, NULL,                                                      \
      "compress WebSocket messages for clients that offer it (permessage-deflate)")               \
    X(DURATION, ping_interval, "30s", CLA_NS_PER_MS, CLA_DAY_NS, NULL,                            \
      "time after which a WebSocket that is silent is asked if it is there")                      \
    X(DURATION, pong_timeout, "10s", CLA_NS_PER_MS, CLA_DAY_NS, NULL,                             \
      "time that a WebSocket has to answer that")                                                 \
    X(COUNT, batch_items, "100", 1, 100000, NULL, "most requests in a JSON-RPC batch")            \
    X(COUNT, json_depth, "128", 1, 1024, NULL, "deepest nesting of JSON arrays and objects")      \
    X(DURATION, handshake_timeout, "10s", CLA_NS_PER_MS, CLA_DAY_NS, NULL,                        \
      "time for the TLS handshake, and for on_connect to decide about a WebSocket")               \
    X(DURATION, header_timeout, "10s", CLA_NS_PER_MS, CLA_DAY_NS, NULL,                           \
      "time from the first byte of a request to the end of its headers")                          \
    X(DURATION, body_timeout, "30s", CLA_NS_PER_MS, CLA_DAY_NS, NULL,                             \
      "time from the end of the headers to the end of the body")                                  \
    X(DURATION, idle_timeout, "600s", CLA_NS_PER_MS, CLA_DAY_NS, NULL,                            \
      "time a connection may wait for its next request")                                          \
    X(DURATION, write_timeout, "30s", CLA_NS_PER_MS, CLA_DAY_NS, NULL,                            \
      "time a client may take none of what is sent to it")                                        \
    X(DURATION, tcp_keepalive, "60s", 0, CLA_DAY_NS / 2, NULL,                                    \
      "time after which a client whose system does not answer is lost; 0 for never")              \
    X(COUNT, requests_per_connection, "0", 0, UINT32_MAX, NULL,                                   \
      "requests after which a connection is closed; 0 for no limit")                              \
    X(BYTES, pipeline_bytes, "64KiB", 1, CLA_GIB, NULL,                                           \
      "most bytes read ahead behind a request that is still running")                             \
    X(BYTES, out_bytes, "1MiB", CLA_KIB, CLA_GIB, NULL,                                           \
      "most bytes that wait to be sent on a connection; more of its work waits for room")         \
    X(BYTES, relay_bytes, "4MiB", CLA_KIB, CLA_GIB, NULL,                                         \
      "most bytes of published messages on their way to another worker")                          \
    X(CHOICE, half_close, "cancel", 0, 0, "cancel|allow",                                         \
      "what a client that closes its sending side does to its calls")                             \
    X(CHOICE, log_level, "info", 0, 0, "debug|info|warn|error|off", "least level to log")         \
    X(CHOICE, access_log, "failed", 0, 0, "all|failed|off",                                       \
      "calls to log: all, those that failed or were cancelled, or none")                          \
    X(BOOL, expose_errors, "false", 0, 0, NULL,                                                   \
      "send the text of script errors to clients (for development)")                              \
    X(BOOL, watch, "false", 0, 0, NULL,                                                           \
      "reload the script when a file of it changes (for development)")                            \
    X(BOOL, discover, "true", 0, 0, NULL,                                                         \
      "whether rpc.discover tells clients that are authorized what procedures there are")         \
    X(ORIGINS, origins, "", 0, 0, NULL,                                                           \
      "web origins that may call besides the gateway's own, separated by commas; * for any")      \
    X(HOSTS, hosts, "", 0, 0, NULL,                                                               \
      "host names to answer for besides loopback ones when listening on loopback, separated by "  \
      "commas; * for any")                                                                        \
    X(PROXIES, trusted_proxies, "", 0, 0, NULL,                                                   \
      "addresses and networks of proxies whose Forwarded or X-Forwarded-For is believed, "        \
      "separated by commas; unix for whoever connects to a unix socket")

#endif
