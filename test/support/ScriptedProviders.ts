export { bindings, model, recogniser, segmenter, voice } from "@rspp/providers/scripted/ScriptedProviders"
