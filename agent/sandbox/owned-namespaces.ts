/** Which namespaces are those of sandboxes of this agent. */
import type { ReportedNamespace } from '#shared/inventory.ts';
import { choiceOf } from '#shared/sandbox-namespaces.ts';
import type { Placement } from './placement.ts';

/** The name of the sandbox that the namespace was made for, or null. Ended ones are asked too: what remains of them should have a name. */
export function sandboxNameOf(placements: Iterable<Placement>, { type, key }: Pick<ReportedNamespace, 'type' | 'key'>): string | null {
  for (const { record } of placements)
    if (
      choiceOf(record.desired.spec.namespaces, type).from === 'new' &&
      record.namespaces.some((own) => own.type === type && own.key === key)
    )
      return record.desired.name;
  return null;
}
