#include "cli/call.h"

#include <stdio.h>

#include "cli/call_args.h"
#include "cli/call_session.h"
#include "cli/call_tls.h"

static const char help[] =
    "usage: cancela call URL PROCEDURE [JSON | name=value … | -]\n"
    "       cancela call URL --file FILE\n"
    "       cancela call URL\n"
    "\n"
    "Calls PROCEDURE of the gateway at URL and prints its result as JSON. Ctrl-C cancels the "
    "call.\n"
    "\n"
    "  URL         [http://]host[:port][/path] or https://…; ws://… or wss://… for a WebSocket. "
    "The\n"
    "              path is /rpc where there is none; the port is 3000, behind a scheme 80 or 443.\n"
    "              Or unix:PATH for a socket file, ws+unix:PATH for a WebSocket there\n"
    "  JSON        the params as one JSON object or array\n"
    "  name=value  a member of the params: JSON as it is, anything else as a string; a string\n"
    "              that looks like JSON goes in quotes of its own: zip='\"01234\"'\n"
    "  -           read the JSON from stdin\n"
    "\n"
    "  --file FILE             make the calls of FILE, one after the other; - is stdin\n"
    "  --stream                take the items of a call: each is printed as a line of JSON as it\n"
    "                          comes, and progress to stderr if that is a terminal\n"
    "  --timeout TIME          give up after TIME: 500ms, 2s, 1.5 (seconds), 1m; the gateway\n"
    "                          enforces it too\n"
    "  --header 'Name: value'  send a header field; may be repeated\n"
    "  --cacert FILE           trust the authorities in this PEM file, not the system's\n"
    "  --cert FILE --key FILE  present this certificate (PEM)\n"
    "  --insecure, -k          do not verify the server's certificate\n"
    "  --verbose               print the HTTP status and the time taken to stderr\n"
    "\n"
    "Without PROCEDURE and --file calls are typed at a prompt. There and in FILE a line is a "
    "call:\n"
    "PROCEDURE [JSON | name=value …]. White space in values goes in quotes or in JSON, empty "
    "lines\n"
    "and comments (#) are skipped. On a WebSocket all calls share one connection, and what the\n"
    "gateway sends on its own account is printed to stderr behind '<-'.\n"
    "\n"
    "  cancela call localhost:3000 add a=2 b=40\n"
    "  cancela call localhost add '{\"a\": 2, \"b\": 40}'\n"
    "  cancela call http://10.0.0.7:8080/rpc report year=2024 --timeout 500ms\n"
    "  cancela call ws://localhost:3000 --file calls.txt\n"
    "  cancela call --stream localhost:3000 tail file=app.log\n"
    "\n"
    "Exit codes: 0 the result is on stdout · 1 the call failed · 2 bad argument ·\n"
    "3 no connection, or a broken one · 4 the deadline passed · 130 interrupted. Of several calls\n"
    "in a file that of the first that failed; a prompt ends with 0 if its connection did not "
    "break\n";

int cla_cli_call(int argc, char **argv)
{
    struct cla_call_args args;
    struct cla_tls_context *tls = NULL;
    int rc = cla_call_args_read(&args, argc, argv);

    if (rc == 0 && args.help)
        fputs(help, stdout);
    else if (rc == 0)
        rc = cla_call_tls_open(&args, &tls);
    if (rc == 0 && !args.help)
        rc = cla_call_session_run(&args, tls);
    cla_tls_context_put(tls);
    cla_call_args_fini(&args);
    return rc;
}
