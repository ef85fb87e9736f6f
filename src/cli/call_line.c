#include "cli/call_line.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* Copies the quoted text at *from, with its quotes if they are double. False if it is not closed.
 */
static bool copy_quoted(char **from, char **to)
{
    char quote = *(*from)++;

    if (quote == '"')
        *(*to)++ = quote;
    while (**from != quote) {
        if (quote == '"' && **from == '\\')
            *(*to)++ = *(*from)++;
        if (**from == '\0')
            return false;
        *(*to)++ = *(*from)++;
    }
    if (quote == '"')
        *(*to)++ = quote;
    (*from)++;
    return true;
}

/* Copies the word at *from to *to, which is not behind it. False if a quote is not closed. */
static bool copy_word(char **from, char **to)
{
    unsigned depth = 0;

    while (**from != '\0' && (depth > 0 || !is_space(**from))) {
        if (**from == '"' || (**from == '\'' && depth == 0)) {
            if (!copy_quoted(from, to))
                return false;
            continue;
        }
        if (**from == '{' || **from == '[')
            depth++;
        else if ((**from == '}' || **from == ']') && depth > 0)
            depth--;
        *(*to)++ = *(*from)++;
    }
    return true;
}

int cla_call_line_split(char *line, char **words, const char **why)
{
    char *to = line;
    int count = 0;
    bool more;

    for (;;) {
        while (is_space(*line))
            line++;
        if (*line == '\0' || *line == '#')
            return count;
        *why = "more words than a call can have";
        if (count == CLA_CALL_WORDS_MAX)
            return -1;
        words[count++] = to;
        *why = "a quote is not closed";
        if (!copy_word(&line, &to))
            return -1;
        more = *line != '\0';
        *to++ = '\0'; /* at the latest where the space or the end was */
        if (!more)
            return count;
        line++;
    }
}
