#include "ws/handshake.h"

/* SHA-1 alone, without the providers of OpenSSL 3, which take 2 MiB: so of the API before those. */
#define OPENSSL_API_COMPAT 0x10100000L
#include <openssl/sha.h>

#include "base/error.h"
#include "ws/list.h"

static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Writes (n + 2) / 3 * 4 characters. */
static void encode_base64(const unsigned char *p, size_t n, char *to)
{
    for (size_t i = 0; i < n; i += 3, to += 4) {
        unsigned left = (unsigned)(n - i);
        unsigned three = (unsigned)p[i] << 16 | (left > 1 ? (unsigned)p[i + 1] << 8 : 0) |
                         (left > 2 ? p[i + 2] : 0);

        to[0] = base64[three >> 18];
        to[1] = base64[three >> 12 & 63];
        to[2] = left > 1 ? base64[three >> 6 & 63] : '=';
        to[3] = left > 2 ? base64[three & 63] : '=';
    }
}

/* 16 bytes in base64. */
static bool is_key(struct cla_slice key)
{
    if (key.n != CLA_WS_KEY_BYTES || key.p[22] != '=' || key.p[23] != '=')
        return false;
    for (size_t i = 0; i < 22; i++) {
        if (key.p[i] == '\0' || strchr(base64, key.p[i]) == NULL)
            return false;
    }
    return true;
}

static void accept_of(const char *key, char accept[CLA_WS_ACCEPT_BYTES])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    unsigned char text[CLA_WS_KEY_BYTES + sizeof guid - 1], digest[SHA_DIGEST_LENGTH];
    SHA_CTX sha;

    memcpy(text, key, CLA_WS_KEY_BYTES);
    memcpy(text + CLA_WS_KEY_BYTES, guid, sizeof guid - 1);
    SHA1_Init(&sha);
    SHA1_Update(&sha, text, sizeof text);
    SHA1_Final(digest, &sha);
    encode_base64(digest, sizeof digest, accept);
}

static struct cla_slice find_protocol(const struct cla_ws_offer *offer, struct cla_slice name)
{
    for (size_t i = 0; i < offer->protocol_count; i++) {
        if (cla_slice_eq(offer->protocols[i], name))
            return offer->protocols[i];
    }
    return cla_slice(NULL, 0);
}

static int choose_protocol(struct cla_slice list, const struct cla_ws_offer *offer,
                           struct cla_slice *chosen)
{
    struct cla_slice name;

    *chosen = cla_slice(NULL, 0);
    while (cla_ws_list_item(&list)) {
        if (cla_ws_list_token(&list, &name) != 0 || !cla_ws_list_ends(&list))
            return -CLA_EPROTO;
        if (chosen->n == 0)
            *chosen = find_protocol(offer, name);
    }
    return 0;
}

static int check_request(const struct cla_ws_request *request, const char **why)
{
    *why = "not an upgrade to WebSocket: GET, HTTP/1.1, Connection: Upgrade, Upgrade: websocket";
    if (!cla_slice_eq(request->method, CLA_LIT("GET")) || request->version_minor < 1)
        return 400;
    if (!cla_ws_list_has(request->connection, CLA_LIT("upgrade")) ||
        !cla_ws_list_has(request->upgrade, CLA_LIT("websocket")))
        return 426;
    *why = "Sec-WebSocket-Version must be 13";
    if (!cla_slice_eq(request->version, CLA_LIT("13")))
        return 426;
    *why = "Sec-WebSocket-Key must be 16 bytes in base64";
    return is_key(request->key) ? 0 : 400;
}

int cla_ws_handshake_read(const struct cla_ws_request *request, const struct cla_ws_offer *offer,
                          struct cla_ws_accept *out, const char **why)
{
    int status = check_request(request, why);

    if (status != 0)
        return status;
    *why = "Sec-WebSocket-Protocol is malformed";
    if (choose_protocol(request->protocol, offer, &out->protocol) != 0)
        return 400;
    *why = "Sec-WebSocket-Extensions is malformed";
    if (cla_ws_extension_choose(request->extensions, &offer->deflate, &out->agreed) != 0)
        return 400;
    *why = NULL;
    accept_of(request->key.p, out->accept);
    return 0;
}

int cla_ws_handshake_answer(struct cla_buf *buf, const struct cla_ws_accept *accept)
{
    size_t mark = buf->n;
    int rc = cla_buf_printf(buf,
                            "Connection: Upgrade\r\nUpgrade: websocket\r\n"
                            "Sec-WebSocket-Accept: %.*s\r\n",
                            CLA_WS_ACCEPT_BYTES, accept->accept);

    if (rc == 0 && accept->protocol.n > 0)
        rc = cla_buf_printf(buf, "Sec-WebSocket-Protocol: %.*s\r\n", (int)accept->protocol.n,
                            accept->protocol.p);
    if (rc == 0 && accept->agreed.deflate) {
        rc = cla_buf_add(buf, CLA_LIT("Sec-WebSocket-Extensions: "));
        if (rc == 0)
            rc = cla_ws_extension_answer(buf, &accept->agreed);
        if (rc == 0)
            rc = cla_buf_add(buf, CLA_LIT("\r\n"));
    }
    if (rc != 0)
        buf->n = mark;
    return rc;
}

void cla_ws_handshake_key(const unsigned char random[16], char key[CLA_WS_KEY_BYTES])
{
    encode_base64(random, 16, key);
}

static int add_protocols(struct cla_buf *buf, const struct cla_ws_offer *offer)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < offer->protocol_count; i++) {
        rc = cla_buf_add(buf, i == 0 ? CLA_LIT("Sec-WebSocket-Protocol: ") : CLA_LIT(", "));
        if (rc == 0)
            rc = cla_buf_add(buf, offer->protocols[i]);
    }
    if (rc == 0 && offer->protocol_count > 0)
        rc = cla_buf_add(buf, CLA_LIT("\r\n"));
    return rc;
}

static int add_extensions(struct cla_buf *buf, const struct cla_ws_offer *offer)
{
    int rc;

    if (!offer->deflate.on)
        return 0;
    rc = cla_buf_add(buf, CLA_LIT("Sec-WebSocket-Extensions: "));
    if (rc == 0)
        rc = cla_ws_extension_offer(buf, &offer->deflate);
    if (rc == 0)
        rc = cla_buf_add(buf, CLA_LIT("\r\n"));
    return rc;
}

int cla_ws_handshake_request(struct cla_buf *buf, const char key[CLA_WS_KEY_BYTES],
                             const struct cla_ws_offer *offer)
{
    size_t mark = buf->n;
    int rc = cla_buf_printf(buf,
                            "Connection: Upgrade\r\nUpgrade: websocket\r\n"
                            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %.*s\r\n",
                            CLA_WS_KEY_BYTES, key);

    if (rc == 0)
        rc = add_protocols(buf, offer);
    if (rc == 0)
        rc = add_extensions(buf, offer);
    if (rc != 0)
        buf->n = mark;
    return rc;
}

static const char *check_response(const struct cla_ws_response *response,
                                  const char key[CLA_WS_KEY_BYTES], struct cla_ws_accept *out)
{
    if (response->status != 101)
        return "the server did not switch protocols";
    if (!cla_ws_list_has(response->connection, CLA_LIT("upgrade")) ||
        !cla_slice_eq_nocase(response->upgrade, CLA_LIT("websocket")))
        return "the server did not upgrade to WebSocket";
    accept_of(key, out->accept);
    if (!cla_slice_eq(response->accept, cla_slice(out->accept, CLA_WS_ACCEPT_BYTES)))
        return "Sec-WebSocket-Accept is not the answer to our key";
    return NULL;
}

int cla_ws_handshake_verify(const struct cla_ws_response *response,
                            const char key[CLA_WS_KEY_BYTES], const struct cla_ws_offer *offer,
                            struct cla_ws_accept *out, const char **why)
{
    *why = check_response(response, key, out);
    if (*why != NULL)
        return -CLA_EPROTO;
    out->protocol = find_protocol(offer, response->protocol);
    if (response->protocol.n > 0 && out->protocol.n == 0)
        *why = "the server chose a subprotocol that was not offered";
    else if (cla_ws_extension_check(response->extensions, &offer->deflate, &out->agreed) != 0)
        *why = "the server chose extensions that were not offered";
    return *why == NULL ? 0 : -CLA_EPROTO;
}
