import type { AnyNode } from "@rspp/runtime/nodes/NodeDefinition"
import { textFilter } from "./TextFilter.ts"
import { topicRouter } from "./TopicRouter.ts"

/** The nodes that come with RSPP, besides the sentence segmenter, which is the node host's own. */
export const builtInNodes: ReadonlyArray<AnyNode> = [textFilter, topicRouter]

/** The ids that pipelines can name without more, that of the segmenter included. */
export const builtInIds: ReadonlyArray<string> = [...builtInNodes.map(({ id }) => id), "builtin/sentence_segmenter"]
