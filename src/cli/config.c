#include <stdio.h>

#include "cli/cli.h"
#include "cli/options.h"

static const char help[] =
    "usage: cancela config [--NAME VALUE …]\n"
    "\n"
    "Prints every setting as a line of Lua, with its meaning and where its value comes from. The\n"
    "output is a settings file: save it as cancela.lua.\n";

static bool is_number(const struct cla_config_setting *setting)
{
    return setting->kind == CLA_CONFIG_COUNT || setting->kind == CLA_CONFIG_BOOL;
}

static void print_setting(const struct cla_config *config, size_t at,
                          const struct cla_config_setting *setting)
{
    struct cla_buf value = {0};
    const char *quote = is_number(setting) ? "" : "\"";

    if (cla_config_print(config, at, &value) == 0)
        printf("  -- %s (%s)\n  %s = %s%.*s%s,\n", setting->doc,
               cla_config_source_name(config->sources[at]), setting->name, quote, (int)value.n,
               value.n > 0 ? value.p : "", quote);
    cla_buf_fini(&value);
}

int cla_cli_config(int argc, char **argv)
{
    const struct cla_config_setting *setting;
    struct cla_options options;
    int rc = cla_options_read(&options, argc, argv, NULL);

    if (rc != 0)
        return rc;
    if (options.help) {
        fputs(help, stdout);
    } else {
        printf("return {\n");
        for (size_t at = 0; (setting = cla_config_describe(at)) != NULL; at++)
            print_setting(&options.config, at, setting);
        printf("}\n");
    }
    cla_options_fini(&options);
    return CLA_EXIT_OK;
}
