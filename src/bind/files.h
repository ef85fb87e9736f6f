/* Notes the files that a script reads, for whoever watches them.
 *
 * VM thread. Depends on: bind/script, io/file_set. Where nobody watches nothing is done. */
#ifndef CLA_BIND_FILES_H
#define CLA_BIND_FILES_H

#include <lua.h>

struct cla_script;

/* Has the searchers of C modules note what they find. While the VM is made; may raise. */
void cla_files_open(lua_State *L);

/* Notes the file at 'path', which is about to be read. */
void cla_files_note(lua_State *L, const char *path);

/* Notes the file that require will find for module 'name' by package[field], and those in the
 * script's folder that it would find first if they were there. */
void cla_files_note_module(lua_State *L, const char *name, const char *field);

/* Notes the files and folders that the app table at 'index' lists as 'watch', seen from the folder
 * of the script. */
void cla_files_take(const struct cla_script *script, lua_State *L, int index);

#endif
