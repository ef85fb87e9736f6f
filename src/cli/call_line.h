/* One line of a file or prompt of calls, cut into words.
 *
 * Main thread. Depends on: nothing. */
#ifndef CLA_CLI_CALL_LINE_H
#define CLA_CLI_CALL_LINE_H

/* Words of one line. */
#define CLA_CALL_WORDS_MAX 256

/* Cuts 'line' in place at white space and stores its words. Inside of double quotes and brackets,
 * which stay, and of single quotes, which go, white space is part of a word; outside of words '#'
 * begins a comment. Returns the number of words, or -1 with one line for people in '*why': a quote
 * is not closed, or there are more than CLA_CALL_WORDS_MAX words. */
int cla_call_line_split(char *line, char **words, const char **why);

#endif
