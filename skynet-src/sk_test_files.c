/* sk_test_files.c: see sk_test_files.h. */
#include "sk_test_files.h"

#include "skynet.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SUFFIX "_test.lua"
/* Deeper folders are a circle of links. */
#define DEPTH_MAX 32

static void
append(struct sk_test_files *files, const char *path)
{
	files->paths = skynet_realloc(files->paths, (files->count + 1) * sizeof *files->paths);
	files->paths[files->count++] = skynet_strdup(path);
}

static bool
is_test(const char *name)
{
	size_t length = strlen(name);
	return length > strlen(SUFFIX) && strcmp(name + length - strlen(SUFFIX), SUFFIX) == 0;
}

static int
is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static int add_folder(struct sk_test_files *files, const char *path, int depth);

static int
add_entry(struct sk_test_files *files, const char *folder, const char *name, int depth)
{
	struct stat status;
	size_t size = strlen(folder) + strlen(name) + 2;
	char *path = skynet_malloc(size);
	bool has_slash = folder[strlen(folder) - 1] == '/';
	(void)snprintf(path, size, "%s%s%s", folder, has_slash ? "" : "/", name);
	int result = SK_OK;
	if (stat(path, &status) != 0)
		result = SK_OK; /* a link to nowhere, or it is gone already */
	else if (S_ISDIR(status.st_mode))
		result = add_folder(files, path, depth + 1);
	else if (is_test(name))
		append(files, path);
	free(path);
	return result;
}

static int
add_folder(struct sk_test_files *files, const char *path, int depth)
{
	struct dirent **entries;
	if (depth > DEPTH_MAX) {
		errno = ELOOP;
		return SK_ESYSTEM;
	}
	int count = scandir(path, &entries, is_visible, alphasort);
	if (count < 0)
		return SK_ESYSTEM;
	int result = SK_OK;
	for (int i = 0; i < count; i++) {
		if (result == SK_OK)
			result = add_entry(files, path, entries[i]->d_name, depth);
		free(entries[i]);
	}
	free(entries);
	return result;
}

int
sk_test_files_add(struct sk_test_files *files, const char *path, char *error, size_t error_size)
{
	struct stat status;
	size_t before = files->count;
	int result = stat(path, &status) == 0 ? SK_OK : SK_ESYSTEM;
	if (result == SK_OK && S_ISDIR(status.st_mode))
		result = add_folder(files, path, 0);
	else if (result == SK_OK)
		append(files, path);
	if (result != SK_OK)
		(void)snprintf(error, error_size, "cannot read %s: %s", path, strerror(errno));
	else if (files->count == before)
		(void)snprintf(error, error_size, "there is no file NAME" SUFFIX " in %s", path);
	return result == SK_OK && files->count > before ? SK_OK : SK_EINVAL;
}

void
sk_test_files_fini(struct sk_test_files *files)
{
	for (size_t i = 0; i < files->count; i++)
		free(files->paths[i]);
	free(files->paths);
	*files = (struct sk_test_files){0};
}
