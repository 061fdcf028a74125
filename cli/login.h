/* login.h: `mlxengine hub login` and `hub logout`: the token that is used when no variable names
 * one. */
#ifndef CLI_LOGIN_H
#define CLI_LOGIN_H

#include "cli.h"

/* Reads a token from standard input (from a terminal without showing it), asks the Hub whose it is,
 * keeps it. -> exit status */
int login_run(cli_call *call);
int logout_run(cli_call *call);

#endif
