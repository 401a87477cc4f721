/* sk_simulation_api.c: the functions of skynet_simulation.h. */
#include "sk_faults.h"
#include "sk_service.h"
#include "sk_simulation.h"
#include "skynet_simulation.h"

int
skynet_simulation_seed(struct skynet_context *ctx, uint64_t *seed)
{
	const struct sk_simulation *simulation = ctx->core->simulation;
	if (!simulation)
		return 0;
	*seed = simulation->seed;
	return 1;
}

uint64_t
skynet_simulation_random(struct skynet_context *ctx)
{
	return ctx->core->simulation ? sk_faults_random(ctx->core->faults) : 0;
}

int
skynet_simulation_add_fault(struct skynet_context *ctx, const struct skynet_fault *fault)
{
	if (!ctx->core->simulation)
		return -1;
	int number = sk_faults_add(ctx->core->faults, fault);
	return number > 0 ? number : -1;
}

int64_t
skynet_simulation_fault_count(struct skynet_context *ctx, int number)
{
	int64_t count = ctx->core->simulation ? sk_faults_count(ctx->core->faults, number) : -1;
	return count >= 0 ? count : -1;
}

void
skynet_simulation_remove_fault(struct skynet_context *ctx, int number)
{
	if (ctx->core->simulation)
		sk_faults_remove(ctx->core->faults, number);
}

int
skynet_simulation_alarm(struct skynet_context *ctx, int64_t delay_ms, int64_t real_ms)
{
	struct sk_core *core = ctx->core;
	if (!core->simulation)
		return -1;
	core->alarm_owner = ctx->handle;
	if (delay_ms < 0)
		sk_simulation_stop_alarm(core->simulation);
	else
		sk_simulation_set_alarm(core->simulation, (uint64_t)delay_ms,
					real_ms > 0 ? (uint64_t)real_ms : 0);
	return 0;
}

uint32_t
skynet_simulation_next_service(struct skynet_context *ctx, uint32_t handle, const char **module)
{
	struct sk_registry *registry = &ctx->core->registry;
	while ((handle = sk_registry_next(registry, handle)) != 0) {
		const struct skynet_context *service = sk_registry_find(registry, handle);
		if (!service)
			continue; /* it has just ended */
		if (module)
			*module = service->module->name;
		return handle;
	}
	return 0;
}
